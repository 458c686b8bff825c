"""A summary of a time series: local features by convolution, then attention to the times that matter."""

from __future__ import annotations

import math

import keras
from keras import ops

from cinnflow.networks.attention import AttentionPooling
from cinnflow.networks.masking import masked_mean, zero_missing
from cinnflow.networks.mlp import Mlp, child_seeds

_PERIODS = (4.0, 16.0, 64.0, 256.0, 1024.0)


@keras.saving.register_keras_serializable(package="cinnflow")
class TimeSeriesNetwork(keras.Layer):
    """A summary of a time series: convolutions of several widths, attention pooling over time, then a dense network.

    Attention sees each step's features, its inputs and its time, as sines and cosines of several periods. Learned queries
    look at the whole series at once, so that neither compilation nor an update grows with a loop over time. A missing step
    counts as zero in the convolutions, beside a channel that says which steps are there, and gets no attention.

    Args:
        summary_dim: number of learned summary statistics.
        filters: number of features for each kernel size.
        kernel_sizes: widths of the convolutions of one layer, in time steps.
        num_conv_layers: number of such layers.
        num_seeds: number of learned queries.
        num_heads: number of attention heads.
        units: width of attention and of the dense network; a multiple of `num_heads`.
        activation: activation of convolutions and dense layers.
        seed: seed of the initial weights.

    Reference:
        Lee et al. (2019), Set transformer, arXiv:1810.00825; Vaswani et al. (2017), arXiv:1706.03762 (times as waves).
    """

    def __init__(
        self,
        summary_dim: int = 10,
        filters: int = 16,
        kernel_sizes: tuple[int, ...] = (1, 3, 5),
        num_conv_layers: int = 2,
        num_seeds: int = 4,
        num_heads: int = 4,
        units: int = 64,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.summary_dim = summary_dim
        self.filters = filters
        self.kernel_sizes = tuple(kernel_sizes)
        self.num_conv_layers = num_conv_layers
        self.num_seeds = num_seeds
        self.num_heads = num_heads
        self.units = units
        self.activation = activation
        self.seed = seed

        seeds = iter(child_seeds(seed, num_conv_layers * len(self.kernel_sizes) + 2))
        self.convolutions = [
            [self._convolution(size, next(seeds)) for size in self.kernel_sizes] for _ in range(num_conv_layers)
        ]
        self.pooling = AttentionPooling(
            num_seeds, units, num_heads, activation, seed=next(seeds), dtype=self.dtype_policy
        )
        self.dense = Mlp(2, units, activation, summary_dim, seed=next(seeds), dtype=self.dtype_policy)

    def _convolution(self, kernel_size: int, seed: int) -> keras.layers.Conv1D:
        return keras.layers.Conv1D(
            self.filters,
            kernel_size,
            padding="same",
            activation=self.activation,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            dtype=self.dtype_policy,
        )

    def build(self, x_shape, mask_shape=None) -> None:
        batch, steps, channels = x_shape
        width = channels + 1
        for layer in self.convolutions:
            for convolution in layer:
                convolution.build((batch, steps, width))
            width = self.filters * len(self.kernel_sizes)
        self.pooling.build((batch, steps, channels + 1 + width + 2 * len(_PERIODS)))
        self.dense.build((batch, self.num_seeds * self.units + width))

    def call(self, x, mask=None, training: bool = False):
        """x (n, time steps, channels), mask (n, time steps) true where a step is there -> (n, summary_dim)."""
        x = zero_missing(ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1), mask)
        features = x
        for layer in self.convolutions:
            features = ops.concatenate([convolution(features) for convolution in layer], axis=-1)
            features = zero_missing(features, mask)
        pooled = self.pooling(ops.concatenate([x, features, _waves(x)], axis=-1), mask=mask)
        pooled = ops.reshape(pooled, (ops.shape(x)[0], self.num_seeds * self.units))
        return self.dense(ops.concatenate([pooled, masked_mean(features, mask)], axis=-1))

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.summary_dim)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "num_conv_layers": self.num_conv_layers,
            "num_seeds": self.num_seeds,
            "num_heads": self.num_heads,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }


def _waves(x):
    """Sines and cosines (n, time steps, 2 * periods) of the number of each step."""
    steps = ops.arange(ops.shape(x)[1], dtype=x.dtype)
    phases = steps[:, None] * (2.0 * math.pi / ops.convert_to_tensor(_PERIODS, dtype=x.dtype))
    waves = ops.concatenate([ops.sin(phases), ops.cos(phases)], axis=-1)
    return ops.broadcast_to(waves, (ops.shape(x)[0], *ops.shape(waves)))
