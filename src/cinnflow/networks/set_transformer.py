"""Set transformers: a summary of exchangeable data in which elements attend to each other."""

from __future__ import annotations

import keras
from keras import ops

from cinnflow.arguments import whole_number
from cinnflow.networks.attention import AttentionBlock, AttentionPooling
from cinnflow.networks.masking import MaskedLayer, element_count, with_spread, zero_missing
from cinnflow.networks.mlp import Mlp, activation_name
from cinnflow.networks.seeds import child_seeds


@keras.saving.register_keras_serializable(package="cinnflow")
class SetTransformer(MaskedLayer):
    """A summary of a set, whatever its order: attention among elements through inducing points, then pooling.

    An induced attention block first lets a few learned inducing points look at the set, then the set at these, so that
    its cost grows linearly with the number of elements. The summary sees the number of elements too, and the spread of
    each channel.

    Args:
        summary_dim: number of learned summary statistics.
        num_attention_blocks: number of induced attention blocks.
        num_inducing_points: number of inducing points of each.
        num_seeds: number of learned queries that pool the set.
        num_heads: number of attention heads.
        units: number of channels inside; a multiple of `num_heads`.
        activation: activation of the dense layers.
        seed: seed of the initial weights.

    Reference:
        Lee et al. (2019), Set transformer, arXiv:1810.00825.
    """

    def __init__(
        self,
        summary_dim: int = 10,
        num_attention_blocks: int = 2,
        num_inducing_points: int = 16,
        num_seeds: int = 1,
        num_heads: int = 4,
        units: int = 64,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.summary_dim = whole_number("summary_dim", summary_dim)
        self.num_attention_blocks = whole_number("num_attention_blocks", num_attention_blocks)
        self.num_inducing_points = whole_number("num_inducing_points", num_inducing_points)
        self.num_seeds = num_seeds
        self.num_heads = num_heads
        self.units = units
        self.activation = activation_name(activation)
        self.seed = seed
        seeds = iter(child_seeds(seed, 2 * num_attention_blocks + 2))
        shared = {"units": units, "num_heads": num_heads, "activation": activation, "dtype": self.dtype_policy}
        self.inducing = [
            AttentionPooling(num_inducing_points, seed=next(seeds), **shared) for _ in range(num_attention_blocks)
        ]
        self.attending = [AttentionBlock(seed=next(seeds), **shared) for _ in range(num_attention_blocks)]
        self.pooling = AttentionPooling(num_seeds, seed=next(seeds), **shared)
        self.dense = Mlp(1, units, activation, summary_dim, seed=next(seeds), dtype=self.dtype_policy)

    def build(self, x_shape, mask_shape=None) -> None:
        shape = (*x_shape[:-1], 2 * x_shape[-1])
        for inducing, attending in zip(self.inducing, self.attending, strict=True):
            inducing.build(shape)
            attending.build(shape, (shape[0], self.num_inducing_points, self.units))
            shape = (*shape[:-1], self.units)
        self.pooling.build(shape)
        self.dense.build((shape[0], self.num_seeds * self.units + 1))

    def call(self, x, mask=None, training: bool = False):
        """x (n, elements, channels), mask (n, elements) true where an element is there -> (n, summary_dim)."""
        x = with_spread(zero_missing(x, mask), mask)
        for inducing, attending in zip(self.inducing, self.attending, strict=True):
            x = attending(x, inducing(x, mask=mask))
        pooled = ops.reshape(self.pooling(x, mask=mask), (ops.shape(x)[0], self.num_seeds * self.units))
        log_count = ops.log(ops.maximum(element_count(x, mask), 1.0))
        return self.dense(ops.concatenate([pooled, log_count], axis=-1))

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.summary_dim)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "num_attention_blocks": self.num_attention_blocks,
            "num_inducing_points": self.num_inducing_points,
            "num_seeds": self.num_seeds,
            "num_heads": self.num_heads,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }
