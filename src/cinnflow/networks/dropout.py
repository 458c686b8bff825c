"""Dropout whose random numbers cost next to nothing."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops


class Dropout(keras.layers.Dropout):
    """Leaves out a share of the units in training and scales up the others, as in Keras.

        yᵢ = xᵢ 1[uᵢ ≥ rate] / (1 - rate),    uᵢ = hash(i, seed, number of the call) / 2³²

    On a CPU, Keras's random numbers take about as long as all the rest of an update (`benchmarks/dropout.py`). A hash
    gives each unit its own number, which the compiler computes where it is used.
    """

    def call(self, inputs, training: bool = False):
        """inputs (...) -> (...)."""
        if not training or self.rate == 0:
            return inputs
        seed, call = tf.unstack(tf.cast(self.seed_generator.next(), tf.uint32))
        units = tf.cast(tf.range(tf.size(inputs)), tf.uint32)
        kept = pcg3d(units, seed, call) >= tf.constant(int(self.rate * 2**32), tf.uint32)
        return ops.where(tf.reshape(kept, tf.shape(inputs)), inputs / (1 - self.rate), 0)


def pcg3d(x: tf.Tensor, y: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """The first of the three numbers that the hash of this name makes of three.

    Args:
        x, y, z: unsigned numbers of 32 bits, of one shape or of shapes that broadcast.

    Returns:
        As many of these numbers as the largest of the arguments holds.

    Reference:
        Jarzynski & Olano (2020), Hash functions for GPU rendering, Journal of Computer Graphics Techniques 9(3), 20-38.
    """
    factor, summand, bits = (tf.constant(number, tf.uint32) for number in (1664525, 1013904223, 16))
    x, y, z = _mixed(*(factor * each + summand for each in (x, y, z)))
    x, y, z = (tf.bitwise.bitwise_xor(each, tf.bitwise.right_shift(each, bits)) for each in (x, y, z))
    return _mixed(x, y, z)[0]


def _mixed(x: tf.Tensor, y: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Each number with the product of the two others added, one after the other, modulo 2³²."""
    x += y * z
    y += z * x
    z += x * y
    return x, y, z
