"""A summary of a time series: local features by convolution, then a memory that runs over them."""

from __future__ import annotations

import keras
from keras import ops

from cinnflow.arguments import whole_number
from cinnflow.networks.masking import MaskedLayer, masked_mean, with_spread, zero_missing
from cinnflow.networks.mlp import Mlp, activation_name
from cinnflow.networks.seeds import child_seeds


@keras.saving.register_keras_serializable(package="cinnflow")
class TimeSeriesNetwork(MaskedLayer):
    """A summary of a time series: convolutions, then a recurrent network, then a dense one.

    The convolutions see the spread of each channel beside its values, the dense network the recurrent network's last
    state and the average of the convolutions' features. A missing step counts as zero in the convolutions, beside a
    channel that says which steps are there; the recurrent network skips it.

    Args:
        summary_dim: number of learned summary statistics.
        num_conv_layers: number of convolutions.
        filters: number of features of each.
        kernel_size: width of each, an odd number of time steps.
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
        num_conv_layers: int = 2,
        filters: int = 32,
        kernel_size: int = 5,
        recurrent_units: int = 32,
        units: int = 64,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        kernel_size = whole_number("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size takes an odd number of time steps, got {kernel_size}")
        self.summary_dim = whole_number("summary_dim", summary_dim)
        self.num_conv_layers = whole_number("num_conv_layers", num_conv_layers)
        self.filters = whole_number("filters", filters)
        self.kernel_size = kernel_size
        self.recurrent_units = whole_number("recurrent_units", recurrent_units)
        self.units = units
        self.activation = activation_name(activation)
        self.seed = seed

        *seeds, input_seed, state_seed, dropout_seed, dense_seed = child_seeds(seed, num_conv_layers + 4)
        self.convolutions = [Mlp(1, filters, activation, seed=child, dtype=self.dtype_policy) for child in seeds]
        self.recurrent = keras.layers.GRU(
            recurrent_units,
            kernel_initializer=keras.initializers.GlorotUniform(seed=input_seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=state_seed),
            seed=dropout_seed,
            dtype=self.dtype_policy,
        )
        self.dense = Mlp(2, units, activation, summary_dim, seed=dense_seed, dtype=self.dtype_policy)

    def build(self, x_shape, mask_shape=None) -> None:
        batch, steps, channels = x_shape
        width = 2 * channels + 1
        for convolution in self.convolutions:
            convolution.build((batch, steps, self.kernel_size * width))
            width = self.filters
        self.recurrent.build((batch, steps, width))
        self.dense.build((batch, self.recurrent_units + width))

    def call(self, x, mask=None, training: bool = False):
        """x (n, time steps, channels), mask (n, time steps) true where a step is there -> (n, summary_dim)."""
        x = with_spread(zero_missing(x, mask), mask)
        features = zero_missing(ops.concatenate([x, ops.ones_like(x[..., :1])], axis=-1), mask)
        for convolution in self.convolutions:
            features = zero_missing(convolution(_windows(features, self.kernel_size)), mask)
        state = self.recurrent(features, mask=mask)
        return self.dense(ops.concatenate([state, masked_mean(features, mask)], axis=-1))

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.summary_dim)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "num_conv_layers": self.num_conv_layers,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "recurrent_units": self.recurrent_units,
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
