"""A summary of a time series: local features, then a memory that runs over them."""

from __future__ import annotations

import keras
from keras import ops

from cinnflow.networks.masking import masked_mean, zero_missing
from cinnflow.networks.mlp import Mlp, child_seeds


@keras.saving.register_keras_serializable(package="cinnflow")
class TimeSeriesNetwork(keras.Layer):
    """A summary of a time series: convolutions of several widths, then a recurrent network, then a dense one.

    The dense network sees the recurrent network's last state and the average of the convolutions' features. A missing
    time step counts as zero in the convolutions, with a channel that says whether a step is there; the recurrent
    network skips it.

    Args:
        summary_dim: number of learned summary statistics.
        filters: number of features for each kernel size.
        kernel_sizes: widths of the convolutions of one layer, in time steps.
        num_conv_layers: number of such layers.
        recurrent_units: size of the recurrent network's state.
        units: width of the dense network.
        activation: activation of convolutions and dense layers.
        seed: seed of the initial weights.

    Reference:
        Radev et al. (2020), BayesFlow, arXiv:2003.06281; Cho et al. (2014), gated recurrent units, arXiv:1406.1078.
    """

    def __init__(
        self,
        summary_dim: int = 10,
        filters: int = 16,
        kernel_sizes: tuple[int, ...] = (1, 3, 5),
        num_conv_layers: int = 2,
        recurrent_units: int = 32,
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
        self.recurrent_units = recurrent_units
        self.units = units
        self.activation = activation
        self.seed = seed

        seeds = iter(child_seeds(seed, num_conv_layers * len(self.kernel_sizes) + 4))
        self.convolutions = [
            [self._convolution(size, next(seeds)) for size in self.kernel_sizes] for _ in range(num_conv_layers)
        ]
        self.recurrent = keras.layers.GRU(
            recurrent_units,
            kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            seed=next(seeds),
            dtype=self.dtype_policy,
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
        self.recurrent.build((batch, steps, width))
        self.dense.build((batch, self.recurrent_units + width))

    def call(self, x, mask=None, training: bool = False):
        """x (n, time steps, channels), mask (n, time steps) true where a step is there -> (n, summary_dim)."""
        x = zero_missing(ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1), mask)
        for layer in self.convolutions:
            x = zero_missing(ops.concatenate([convolution(x) for convolution in layer], axis=-1), mask)
        state = self.recurrent(x, mask=mask)
        return self.dense(ops.concatenate([state, masked_mean(x, mask)], axis=-1))

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.summary_dim)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "num_conv_layers": self.num_conv_layers,
            "recurrent_units": self.recurrent_units,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }
