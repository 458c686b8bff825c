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
    """A summary of a time series: convolutions, attention pooling over time, then a dense network.

    Attention sees each step's features, its inputs and its time, as sines and cosines of several periods. Learned queries
    look at the whole series at once, so that neither compilation nor an update grows with a loop over time. A missing step
    counts as zero in the convolutions, beside a channel that says which steps are there, and gets no attention.

    Args:
        summary_dim: number of learned summary statistics.
        num_conv_layers: number of convolutions.
        filters: number of features of each.
        kernel_size: width of each, an odd number of time steps.
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
        num_conv_layers: int = 2,
        filters: int = 32,
        kernel_size: int = 5,
        num_seeds: int = 4,
        num_heads: int = 4,
        units: int = 64,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.summary_dim = summary_dim
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size takes an odd number of time steps, got {kernel_size}")
        self.num_conv_layers = num_conv_layers
        self.filters = filters
        self.kernel_size = kernel_size
        self.num_seeds = num_seeds
        self.num_heads = num_heads
        self.units = units
        self.activation = activation
        self.seed = seed

        *seeds, pooling_seed, dense_seed = child_seeds(seed, num_conv_layers + 2)
        self.convolutions = [Mlp(1, filters, activation, seed=child, dtype=self.dtype_policy) for child in seeds]
        self.pooling = AttentionPooling(
            num_seeds, units, num_heads, activation, seed=pooling_seed, dtype=self.dtype_policy
        )
        self.dense = Mlp(2, units, activation, summary_dim, seed=dense_seed, dtype=self.dtype_policy)

    def build(self, x_shape, mask_shape=None) -> None:
        batch, steps, channels = x_shape
        width = channels + 1
        for convolution in self.convolutions:
            convolution.build((batch, steps, self.kernel_size * width))
            width = self.filters
        self.pooling.build((batch, steps, channels + 1 + width + 2 * len(_PERIODS)))
        self.dense.build((batch, self.num_seeds * self.units + width))

    def call(self, x, mask=None, training: bool = False):
        """x (n, time steps, channels), mask (n, time steps) true where a step is there -> (n, summary_dim)."""
        x = zero_missing(ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1), mask)
        features = x
        for convolution in self.convolutions:
            features = zero_missing(convolution(_windows(features, self.kernel_size)), mask)
        pooled = self.pooling(ops.concatenate([x, features, _waves(x)], axis=-1), mask=mask)
        pooled = ops.reshape(pooled, (ops.shape(x)[0], self.num_seeds * self.units))
        return self.dense(ops.concatenate([pooled, masked_mean(features, mask)], axis=-1))

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.summary_dim)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "num_conv_layers": self.num_conv_layers,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "num_seeds": self.num_seeds,
            "num_heads": self.num_heads,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }


def _windows(x, size: int):
    """Each step with its neighbours side by side (n, time steps, size * channels); zeros beyond the ends.

    A dense layer on these is a convolution, as a matrix product: compiled convolutions are slow on a CPU.
    """
    steps = ops.shape(x)[1]
    padded = ops.pad(x, ((0, 0), (size // 2, size // 2), (0, 0)))
    return ops.concatenate([padded[:, i : i + steps] for i in range(size)], axis=-1)


def _waves(x):
    """Sines and cosines (n, time steps, 2 * periods) of the number of each step."""
    steps = ops.arange(ops.shape(x)[1], dtype=x.dtype)
    phases = steps[:, None] * (2.0 * math.pi / ops.convert_to_tensor(_PERIODS, dtype=x.dtype))
    waves = ops.concatenate([ops.sin(phases), ops.cos(phases)], axis=-1)
    return ops.broadcast_to(waves, (ops.shape(x)[0], *ops.shape(waves)))
