"""Arithmetic on a GPU: the same bits each time, in full single precision."""

from __future__ import annotations

import tensorflow as tf


def use_repeatable_arithmetic() -> None:
    """Where there is a GPU, lets TensorFlow compute on it as a CPU does, in the whole process.

    By default it adds up in whatever order is fastest, so that the same seed gives other weights, and rounds the
    factors of products to eleven bits, which moves log densities by thousandths of a nat.
    """
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)
