"""Mixing of a vector's entries between couplings: a fixed permutation, or a learned rotation."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from cinnflow.networks.bijection import Bijection


@keras.saving.register_keras_serializable(package="cinnflow")
class FixedPermutation(Bijection):
    """A permutation of the entries, drawn once, that moves some of them to the other half of a coupling.

        forward:  zᵢ = x_π(i),       log |det| = 0
        inverse:  xᵢ = z_π⁻¹(i),     log |det| = 0

    Args:
        num_params: number of entries of a vector.
        seed: seed of the permutation.
    """

    def __init__(self, num_params: int, seed: int = 0, **kwargs):
        super().__init__(num_params, **kwargs)
        self.seed = seed
        self.order = _mixing_order(self.num_params, np.random.default_rng(seed))
        self.inverse_order = np.argsort(self.order)

    def forward(self, x, condition=None, training: bool = False):
        return ops.take(x, self.order, axis=-1), ops.zeros_like(x[..., 0])

    def inverse(self, z, condition=None):
        return ops.take(z, self.inverse_order, axis=-1), ops.zeros_like(z[..., 0])

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="cinnflow")
class LearnablePermutation(Bijection):
    """A learned orthogonal matrix Q, orthogonal by construction whatever the weights are.

        forward:  z = Qᵀ x,     log |det| = 0
        inverse:  x = Q z,      log |det| = 0

    Q is the product of Householder reflections I − 2 vᵢvᵢᵀ, one for each column vᵢ = wᵢ/|wᵢ| of a matrix V, in the
    compact form Q = I − V T⁻¹ Vᵀ, where T is upper triangular: the strict upper part of VᵀV, with 1/2 on the diagonal.

    Args:
        num_params: number of entries of a vector.
        seed: seed of the initial reflections.

    Reference:
        Joffrain, Low, Quintana-Ortí, van de Geijn & Van Zee (2006), Accumulating Householder transformations,
        revisited, doi:10.1145/1141885.1141886.
    """

    def __init__(self, num_params: int, seed: int = 0, **kwargs):
        super().__init__(num_params, **kwargs)
        self.seed = seed

    def build(self, x_shape, condition_shape=None) -> None:
        self.reflections = self.add_weight(
            shape=(self.num_params, self.num_params),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
            name="reflections",
        )

    def forward(self, x, condition=None, training: bool = False):
        return ops.matmul(x, self.matrix()), ops.zeros_like(x[..., 0])

    def inverse(self, z, condition=None):
        return ops.matmul(z, ops.transpose(self.matrix())), ops.zeros_like(z[..., 0])

    def matrix(self):
        """Q (num_params, num_params)."""
        v = self.reflections / ops.norm(self.reflections, axis=0, keepdims=True)
        identity = ops.eye(self.num_params, dtype=self.compute_dtype)
        t = ops.triu(ops.matmul(ops.transpose(v), v), k=1) + 0.5 * identity
        return identity - ops.matmul(v, ops.solve_triangular(t, ops.transpose(v)))

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}


def _mixing_order(num_params: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation that changes which entries make up the first half; the identity for one entry alone."""
    first = num_params // 2
    order = rng.permutation(num_params)
    while first and set(order[:first]) == set(range(first)):
        order = rng.permutation(num_params)
    return order
