"""How data reach the networks: standardized, and heavy-tailed channels on a logarithmic scale as well."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from cinnflow.inference.standardization import Standardization, middle

_HEAVY = 10.0
"""Ratio of the 99 % quantile to the median of the magnitudes above which a channel counts as heavy-tailed.

It is 3.8 for a normal distribution and 6.6 for an exponential one; counts of an epidemic reach 30.
"""

_SMALLEST = 1e-100
_ENOUGH = 2**24
"""Numbers that tell all scales well enough; more of them would stand in memory several times over."""


@keras.saving.register_keras_serializable(package="cinnflow")
class InputScale(keras.Layer):
    """Two channels for each channel of the last axis: x, and asinh((x − x₀) / c) where x is heavy-tailed, standardized.

    Standardization alone squeezes the small values of a channel that spans several orders of magnitude into one point;
    asinh is linear below the typical magnitude c of x − x₀ and logarithmic above it. The origin x₀ is zero, or where
    the middle 98 % of the channel do not reach it, that end of them where the channel crowds: energies, or counts over
    a background, have an offset. The second channel of one that is not heavy-tailed is zero. Heavy-tailed is also what
    has its middle 98 % within one standard deviation.

    Args:
        channels: size of the last axis.
    """

    def __init__(self, channels: int, **kwargs):
        super().__init__(**{"dtype": "float64", "trainable": False, "autocast": False, **kwargs})
        self.channels = int(channels)
        self.linear = Standardization(self.channels)
        self.logarithmic = Standardization(self.channels)

    @property
    def output_channels(self) -> int:
        """Size of the last axis of what comes out."""
        return 2 * self.channels

    def build(self, x_shape=None) -> None:
        self.linear.build()
        self.logarithmic.build()
        self.origin = self.add_weight(shape=(self.channels,), initializer="zeros", name="origin")
        self.typical = self.add_weight(shape=(self.channels,), initializer="ones", name="typical")
        self.heavy = self.add_weight(shape=(self.channels,), initializer="zeros", name="heavy")

    def adapt(self, x: np.ndarray, present: np.ndarray | None = None) -> None:
        """Takes all scales from x (..., channels), where `present` (...) is true.

        Raises:
            ValueError: where nothing is there.
        """
        rows = np.asarray(x, np.float64).reshape(-1, self.channels)
        there = np.arange(len(rows)) if present is None else np.flatnonzero(present)
        if not len(there):
            raise ValueError("none of the data sets that training would start from has any element: mend the simulator")
        if len(there) > (most := max(1, _ENOUGH // self.channels)):
            there = np.random.default_rng(0).choice(there, most, replace=False)
        rows = rows[there]
        lowest, highest = middle(rows)
        centre = np.median(rows, axis=0)
        crowded = np.where(centre - lowest <= highest - centre, lowest, highest)
        origin = np.where((lowest > 0) | (highest < 0), crowded, 0.0)
        quantiles = [
            np.quantile(nonzero, [0.5, 0.99]) if len(nonzero) else (1.0, 1.0)
            for nonzero in (magnitudes[magnitudes > 0] for magnitudes in np.abs(rows - origin).T)
        ]
        median, high = np.transpose(quantiles)
        self.origin.assign(origin)
        # Magnitudes near the smallest numbers there are would make the ratio overflow.
        self.typical.assign(np.maximum(median, _SMALLEST))
        self.linear.adapt(rows)
        squeezed = (self.linear.sd.numpy() > highest - lowest) & (highest > lowest)
        self.heavy.assign((high > _HEAVY * median) | squeezed)
        self.logarithmic.adapt(np.arcsinh((rows - origin) / self.typical.numpy()))

    def call(self, x):
        x = tf.cast(x, tf.float64)
        # Most data have no heavy tails, and asinh takes longer than all else that prepares them.
        compressed = tf.cond(
            tf.reduce_any(self.heavy > 0.0),
            lambda: self.logarithmic(tf.math.asinh((x - self.origin) / self.typical)) * self.heavy,
            lambda: tf.zeros_like(x),
        )
        return tf.concat([self.linear(x), compressed], axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "channels": self.channels}
