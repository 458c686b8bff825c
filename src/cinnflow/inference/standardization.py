"""Means and standard deviations of the training data, kept with the weights."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

_EXTREME = 1000.0
"""Widths of the middle 98 % by which a number lies outside them that says nothing of a channel's scale."""


_ENOUGH = 100_000
"""Rows that tell quantiles well enough; sorting many more takes seconds."""


def middle(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of the middle 98 % of each channel (channels,) of rows (rows, channels)."""
    if len(rows) > _ENOUGH:
        rows = rows[np.random.default_rng(0).integers(len(rows), size=_ENOUGH)]
    return tuple(np.quantile(rows, [0.01, 0.99], axis=0))


@keras.saving.register_keras_serializable(package="cinnflow")
class Standardization(keras.Layer):
    """An affine map of each channel of the last axis to mean 0 and standard deviation 1, in double precision.

        forward:  z = (x − mean) / sd,    log |det dz/dx| = −Σ log sd
        inverse:  x = mean + sd z

    A channel that never varied keeps its scale (sd = 1). Numbers that are out of all proportion, as a simulator gives
    where it fails unnoticed, do not count: a single one would squeeze all others into one point. Before `adapt` it is
    the identity.

    Args:
        channels: size of the last axis.
    """

    def __init__(self, channels: int, **kwargs):
        super().__init__(**{"dtype": "float64", "trainable": False, "autocast": False, **kwargs})
        self.channels = int(channels)

    def build(self, x_shape=None) -> None:
        self.mean = self.add_weight(shape=(self.channels,), initializer="zeros", name="mean")
        self.sd = self.add_weight(shape=(self.channels,), initializer="ones", name="sd")

    def adapt(self, x: np.ndarray, present: np.ndarray | None = None) -> None:
        """Sets mean and standard deviation to those of x (..., channels), where `present` (...) is true."""
        rows = np.asarray(x, np.float64).reshape(-1, self.channels)
        if present is not None:
            rows = rows[np.asarray(present, bool).reshape(-1)]
        low, high = middle(rows)
        with np.errstate(over="ignore"):
            reach = _EXTREME * (high - low)
            mean, sd = rows.mean(axis=0), rows.std(axis=0)
            # No number lies further from the mean than sd √n, so that most channels need no second look.
            for channel in np.flatnonzero((reach > 0) & (sd * np.sqrt(len(rows)) > reach / 2)):
                x = rows[:, channel]
                usual = x[(x >= low[channel] - reach[channel]) & (x <= high[channel] + reach[channel])]
                mean[channel], sd[channel] = usual.mean(), usual.std()
        # Rounding leaves a trace of variance in a constant channel.
        self.sd.assign(np.where(sd > 1e-12 * np.abs(mean), sd, 1.0))
        self.mean.assign(mean)

    def call(self, x):
        return (tf.cast(x, tf.float64) - self.mean) / self.sd

    def inverse(self, z):
        return tf.cast(z, tf.float64) * self.sd + self.mean

    def log_det(self):
        """log |det dz/dx| (), the same for every x."""
        return -tf.reduce_sum(tf.math.log(self.sd))

    def get_config(self) -> dict:
        return {**super().get_config(), "channels": self.channels}
