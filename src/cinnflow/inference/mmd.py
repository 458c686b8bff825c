"""Maximum mean discrepancy: how far two samples are apart."""

from __future__ import annotations

import keras
import tensorflow as tf

from cinnflow.mmd_kernel import SQUARED_WIDTHS


def squared_mmd(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Biased estimate of the squared maximum mean discrepancy () between samples x (n, d) and y (m, d).

    The kernel is that of `mmd_kernel.py`.

    Reference:
        Gretton et al. (2012), A kernel two-sample test, JMLR 13:723-773.
    """
    return _mean_kernel(x, x) + _mean_kernel(y, y) - 2.0 * _mean_kernel(x, y)


def squared_mmd_to_normal(x: tf.Tensor, seed: keras.random.SeedGenerator) -> tf.Tensor:
    """Squared maximum mean discrepancy () between x (n, d) and as many draws of a standard normal distribution."""
    return squared_mmd(x, keras.random.normal(tf.shape(x), dtype=x.dtype, seed=seed))


def _mean_kernel(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    squared_norms = tf.reduce_sum(tf.square(x), axis=-1)[:, None] + tf.reduce_sum(tf.square(y), axis=-1)[None, :]
    squared_distances = tf.maximum(squared_norms - 2.0 * tf.matmul(x, y, transpose_b=True), 0.0)
    dimension = tf.cast(tf.shape(x)[-1], x.dtype)
    kernels = [tf.exp(-squared_distances / (2.0 * width * dimension)) for width in SQUARED_WIDTHS]
    return tf.reduce_mean(tf.add_n(kernels)) / len(kernels)
