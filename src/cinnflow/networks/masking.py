"""Layers, means, spreads and fillings that see only the elements which a mask says are there."""

from __future__ import annotations

import keras
from keras import ops

_SMALL_SPREAD = 0.01
"""Of standardized data: below it, a spread is told from none less and less."""


class MaskedLayer(keras.Layer):
    """A layer that takes a mask as an argument, and hands none on to the next one.

    Raises:
        TypeError: for the size of the input, which Keras would take and not use.
    """

    def __init__(self, **kwargs):
        for argument in ("input_dim", "input_shape"):
            if argument in kwargs:
                raise TypeError(f"{type(self).__name__} takes no {argument}: it learns it from the data")
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs, previous_mask=None):
        return None


def zero_missing(x, mask):
    """x (n, elements, channels) with zeros where the mask (n, elements) is false; all of x without a mask."""
    return x if mask is None else ops.where(ops.cast(mask, "bool")[..., None], x, ops.zeros_like(x))


def masked_mean(x, mask):
    """Mean (n, channels) of the elements that are there; zero for a set of none."""
    if mask is None:
        return ops.mean(x, axis=1)
    return ops.sum(zero_missing(x, mask), axis=1) / ops.maximum(element_count(x, mask), 1.0)


def element_count(x, mask):
    """Number of elements (n, 1) that are there."""
    if mask is None:
        # A sum, since a set of none has no first element.
        return ops.sum(ops.zeros_like(x[:, :1, :1]), axis=1) + ops.cast(ops.shape(x)[1], x.dtype)
    return ops.sum(ops.cast(mask, x.dtype), axis=1)[:, None]


def with_spread(x, mask):
    """x (n, elements, channels) -> (n, elements, 2 × channels): behind each channel's values, how far they spread.

        ½ log((s² + ε²) / (1 + ε²)),    s the standard deviation of a channel over the elements that are there

    Where sets differ far more in where they lie than in how far each spreads, averages over elements hardly tell the
    spread, and a network that learns it from them takes many times as many simulations. A channel that is zero
    throughout, as the logarithmic one of data without heavy tails, has a spread of zero.
    """
    deviation = zero_missing(x - masked_mean(x, mask)[:, None], mask)
    variance = masked_mean(ops.square(deviation), mask)[:, None]
    spread = 0.5 * ops.log((variance + _SMALL_SPREAD**2) / (1 + _SMALL_SPREAD**2))
    used = ops.any(zero_missing(x, mask) != 0, axis=1, keepdims=True)
    spread = ops.where(used, spread, ops.zeros_like(spread))
    return ops.concatenate([x, zero_missing(ops.broadcast_to(spread, ops.shape(x)), mask)], axis=-1)
