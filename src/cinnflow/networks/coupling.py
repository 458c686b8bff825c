"""The two-sided coupling, whatever it couples with."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from cinnflow.networks.bijection import Bijection
from cinnflow.networks.mlp import Mlp
from cinnflow.networks.seeds import child_seeds

_DENSE_ARGS = ("units", "activation", "kernel_regularizer")


class Coupling(Bijection):
    """Two halves of a vector, each transformed entry by entry in turn, given the other half and the condition.

        forward:  z₁ = T(x₁; φ(x₂, c)),    z₂ = T(x₂; ψ(z₁, c))
        inverse:  x₂ = T⁻¹(z₂; ψ(z₁, c)),  x₁ = T⁻¹(z₁; φ(x₂, c))

    φ and ψ are dense networks; each gives all coefficients of T at once, and starts at zero, where T is the identity.
    A vector of one entry has an empty first half, and its second half depends on the condition alone.

    A subclass gives T: `coefficients`, their number for each entry; `transform(x, raw)` and `transform_inverse(z, raw)`
    take entries (..., d) and raw coefficients (..., d, coefficients), and return entries and their log-derivatives.

    Args:
        num_params: number of entries of a vector.
        num_dense: number of dense layers in φ and in ψ.
        dense_args: `units`, `activation` and `kernel_regularizer` of those layers.
        dropout: whether training leaves units out; by default where there is a dropout_prob.
        dropout_prob: the share of the units that it leaves out; by default 0.05.
        seed: seed of the initial weights and of dropout.

    Reference:
        Dinh, Sohl-Dickstein & Bengio (2017), Density estimation using Real NVP, arXiv:1605.08803;
        Ardizzone et al. (2019), Guided image generation with conditional invertible neural networks, arXiv:1907.02392.
    """

    coefficients: int

    def __init__(
        self,
        num_params: int,
        num_dense: int = 2,
        dense_args: dict[str, Any] | None = None,
        dropout: bool | None = None,
        dropout_prob: float | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(num_params, **kwargs)
        dense_args = dict(dense_args or {})
        if unknown := sorted(set(dense_args) - set(_DENSE_ARGS)):
            raise ValueError(f"dense_args takes {', '.join(_DENSE_ARGS)}, got {', '.join(unknown)}")
        self.num_dense = num_dense
        if dropout is False and dropout_prob:
            raise ValueError("dropout_prob has no effect with dropout=False: leave out one of them")
        self.dropout = dropout_prob is not None if dropout is None else dropout
        self.dropout_prob = 0.05 if dropout_prob is None else dropout_prob
        if not 0 <= self.dropout_prob < 1:
            raise ValueError(f"dropout_prob takes a share from 0 to below 1, got {dropout_prob!r}")
        self.seed = seed
        self.sizes = (self.num_params // 2, self.num_params - self.num_params // 2)
        self.conditioners = [
            Mlp(
                num_dense,
                output_dim=size * self.coefficients,
                zero_output=True,
                dropout_prob=self.dropout_prob if self.dropout else 0.0,
                seed=child,
                dtype=self.dtype_policy,
                **dense_args,
            )
            if size
            else None
            for size, child in zip(self.sizes, child_seeds(seed, 2), strict=True)
        ]

    def build(self, x_shape, condition_shape=None) -> None:
        for conditioner, other in zip(self.conditioners, reversed(self.sizes), strict=True):
            if conditioner is not None:
                conditioner.build((*x_shape[:-1], max(1, other)), condition_shape)

    def forward(self, x, condition=None, training: bool = False):
        x1, x2 = self._split(x)
        z1, log_det1 = self._apply(self.transform, 0, x1, x2, condition, training)
        z2, log_det2 = self._apply(self.transform, 1, x2, z1, condition, training)
        return ops.concatenate([z1, z2], axis=-1), log_det1 + log_det2

    def inverse(self, z, condition=None):
        z1, z2 = self._split(z)
        x2, log_det2 = self._apply(self.transform_inverse, 1, z2, z1, condition)
        x1, log_det1 = self._apply(self.transform_inverse, 0, z1, x2, condition)
        return ops.concatenate([x1, x2], axis=-1), log_det1 + log_det2

    def transform(self, x, raw):
        raise NotImplementedError

    def transform_inverse(self, z, raw):
        raise NotImplementedError

    def _split(self, x):
        return x[..., : self.sizes[0]], x[..., self.sizes[0] :]

    def _apply(self, transform, half: int, x, other, condition, training: bool = False):
        if self.conditioners[half] is None:
            return x, ops.sum(x, axis=-1)
        # TensorFlow's fused matrix products abort on an empty input: a constant stands for the half that is not there.
        other = other if other.shape[-1] else ops.ones_like(x)
        raw = self.conditioners[half](other, condition, training=training)
        entries, log_derivative = transform(x, ops.reshape(raw, (*ops.shape(x), self.coefficients)))
        return entries, ops.sum(log_derivative, axis=-1)

    def get_config(self) -> dict:
        conditioner = self.conditioners[1].get_config()
        return {
            **super().get_config(),
            "num_dense": self.num_dense,
            "dense_args": {name: conditioner[name] for name in _DENSE_ARGS},
            "dropout": self.dropout,
            "dropout_prob": self.dropout_prob,
            "seed": self.seed,
        }


def soft_clamp(raw, bound: float):
    """(2a/π) arctan(raw/a) with a = `bound`: raw where it is small, and never beyond ±bound."""
    return 2.0 * bound / math.pi * ops.arctan(raw / bound)
