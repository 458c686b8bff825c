"""A dense layer that is faster to train on a thousand rows and more."""

from __future__ import annotations

import math

import keras
import tensorflow as tf
from keras import ops

_ROWS = 1024
"""Number of rows from which parts pay."""
_INPUTS = 32
"""Number of columns from which they do on a CPU."""
_MOST_BLOCKS, _BLOCK_ROWS = 128, 64
"""Blocks of rows on a GPU, at most, and rows in each of them, at least."""


class Dense(keras.layers.Dense):
    """y = activation(x W + b), as in Keras; with many rows, the gradient of W is taken in parts.

        ∂L/∂W = xᵀ ∂L/∂y

    Compiled for a CPU, a product over rows collects x number by number; from an x that is transposed before it reads
    them in order. Either half of W's rows on its own keeps two cores busy. A GPU leaves a product of so small a result
    to a few of its multiprocessors: there, blocks of x's rows are taken side by side, and added up.
    """

    def call(self, x, training: bool | None = None):
        """x (..., inputs) -> (..., units)."""
        *axes, inputs = x.shape
        many = None not in axes and math.prod(axes) >= _ROWS
        if not many or (inputs < _INPUTS and not _on_gpu()):
            return super().call(x, training=training)
        y = _product(ops.reshape(x, (-1, inputs)), tf.convert_to_tensor(self.kernel))
        if self.use_bias:
            y = ops.add(y, self.bias)
        return self.activation(ops.reshape(y, (*axes, self.units)))


@tf.custom_gradient
def _product(x: tf.Tensor, kernel: tf.Tensor):
    """x (rows, inputs), kernel (inputs, units) -> (rows, units)."""

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_kernel = _in_blocks(x, upstream) if _on_gpu() else _in_halves(x, upstream)
        return tf.matmul(upstream, kernel, transpose_b=True), of_kernel

    return tf.matmul(x, kernel), gradients


def _on_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


def _in_blocks(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """xᵀ upstream, as a sum over blocks of rows of equal size."""
    rows = x.shape[0]
    blocks = next(count for count in range(min(_MOST_BLOCKS, rows // _BLOCK_ROWS), 0, -1) if rows % count == 0)
    x, upstream = (tf.reshape(array, (blocks, -1, array.shape[1])) for array in (x, upstream))
    return tf.reduce_sum(tf.matmul(x, upstream, transpose_a=True), axis=0)


def _in_halves(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """xᵀ upstream, either half of its rows on its own."""
    half = x.shape[1] // 2
    parts = tf.split(x, [half, x.shape[1] - half], axis=1)
    return tf.concat([_over_rows(part, upstream) for part in parts], axis=0)


def _over_rows(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """xᵀ upstream; x (rows, inputs), upstream (rows, units) -> (inputs, units)."""
    # Reversed there and back, or the compiler would make one product of the transposition and the product.
    transposed = tf.reverse(tf.transpose(x), axis=[0])
    return tf.reverse(tf.matmul(transposed, upstream), axis=[0])
