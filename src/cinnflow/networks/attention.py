"""Attention between sets: the block that set transformers are built of."""

from __future__ import annotations

import math

import keras
from keras import ops

from cinnflow.arguments import whole_number
from cinnflow.networks.dense import Dense
from cinnflow.networks.masking import MaskedLayer
from cinnflow.networks.mlp import Mlp, activation_name
from cinnflow.networks.seeds import child_seeds

_ABSENT = -1e9


@keras.saving.register_keras_serializable(package="cinnflow")
class AttentionBlock(MaskedLayer):
    """Elements X that each take up what matters to them from a set Y.

        H = X W + Σ over heads of softmax(Q Kᵀ/√d) V,    result = H + φ(H)

    with queries Q from X, keys K and values V from Y, and a dense network φ.

    Args:
        units: number of channels that come out; a multiple of `num_heads`.
        num_heads: number of attention heads.
        activation: activation of φ.
        seed: seed of the initial weights.

    Reference:
        Lee et al. (2019), Set transformer, arXiv:1810.00825 (the multihead attention block).
    """

    def __init__(self, units: int = 64, num_heads: int = 4, activation: str = "swish", seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        units, num_heads = whole_number("units", units), whole_number("num_heads", num_heads)
        if units % num_heads:
            raise ValueError(f"units takes a multiple of num_heads = {num_heads}, got {units}")
        self.units = units
        self.num_heads = num_heads
        self.activation = activation_name(activation)
        self.seed = seed
        *seeds, last = child_seeds(seed, 5)
        self.projections = [
            Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed=child), dtype=self.dtype_policy)
            for child in seeds
        ]
        self.elementwise = Mlp(1, units, activation, output_dim=units, seed=last, dtype=self.dtype_policy)

    def build(self, x_shape, y_shape, mask_shape=None) -> None:
        for projection, shape in zip(self.projections, (x_shape, x_shape, y_shape, y_shape), strict=True):
            projection.build(shape)
        self.elementwise.build((*x_shape[:-1], self.units))

    def call(self, x, y, mask=None):
        """x (n, queries, channels), y (n, elements, channels), mask (n, elements) -> (n, queries, units)."""
        skip, queries, keys, values = (
            projection(inputs) for projection, inputs in zip(self.projections, (x, x, y, y), strict=True)
        )
        queries, keys, values = self._by_head(queries), self._by_head(keys), self._by_head(values)
        scores = ops.matmul(queries, ops.swapaxes(keys, -1, -2)) / math.sqrt(self.units / self.num_heads)
        if mask is not None:
            scores = ops.where(ops.cast(mask, "bool")[:, None, None, :], scores, _ABSENT)
        taken = ops.swapaxes(ops.matmul(ops.softmax(scores, axis=-1), values), 1, 2)
        hidden = skip + ops.reshape(taken, (*ops.shape(skip)[:-1], self.units))
        return hidden + self.elementwise(hidden)

    def _by_head(self, x):
        """(n, elements, units) -> (n, heads, elements, units / heads)."""
        n, elements, _ = ops.shape(x)
        return ops.swapaxes(ops.reshape(x, (n, elements, self.num_heads, self.units // self.num_heads)), 1, 2)

    def compute_output_shape(self, x_shape, y_shape, mask_shape=None):
        return (*x_shape[:-1], self.units)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "activation": self.activation,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="cinnflow")
class AttentionPooling(MaskedLayer):
    """A fixed number of learned queries that each take up what matters to them from a set.

    Args:
        num_seeds: number of queries.
        units: number of channels of each.
        num_heads: number of attention heads.
        activation: activation of the dense part.
        seed: seed of the initial weights.

    Reference:
        Lee et al. (2019), Set transformer, arXiv:1810.00825 (pooling by multihead attention).
    """

    def __init__(
        self,
        num_seeds: int = 1,
        units: int = 64,
        num_heads: int = 4,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_seeds = whole_number("num_seeds", num_seeds)
        self.units = units
        self.num_heads = num_heads
        self.activation = activation_name(activation)
        self.seed = seed
        self.query_seed, block_seed = child_seeds(seed, 2)
        self.block = AttentionBlock(units, num_heads, activation, seed=block_seed, dtype=self.dtype_policy)

    def build(self, x_shape, mask_shape=None) -> None:
        self.queries = self.add_weight(
            shape=(1, self.num_seeds, self.units),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.query_seed),
            name="queries",
        )
        self.block.build((x_shape[0], self.num_seeds, self.units), x_shape)

    def call(self, x, mask=None):
        """x (n, elements, channels), mask (n, elements) -> (n, num_seeds, units)."""
        queries = ops.broadcast_to(self.queries, (ops.shape(x)[0], self.num_seeds, self.units))
        return self.block(queries, x, mask=mask)

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.num_seeds, self.units)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_seeds": self.num_seeds,
            "units": self.units,
            "num_heads": self.num_heads,
            "activation": self.activation,
            "seed": self.seed,
        }
