"""Activation normalization: a learned scale and shift of each entry."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from cinnflow.networks.bijection import Bijection


@keras.saving.register_keras_serializable(package="cinnflow")
class ActNorm(Bijection):
    """A learned scale and shift of each entry, the same for every vector.

        forward:  z = x exp(s) + b,      log |det dz/dx| =  Σ s
        inverse:  x = (z − b) exp(−s),   log |det dx/dz| = −Σ s

    Args:
        num_params: number of entries of a vector.

    Reference:
        Kingma & Dhariwal (2018), Glow: generative flow with invertible 1×1 convolutions, arXiv:1807.03039.
    """

    def build(self, x_shape, condition_shape=None) -> None:
        self.log_scale = self.add_weight(shape=(self.num_params,), initializer="zeros", name="log_scale")
        self.bias = self.add_weight(shape=(self.num_params,), initializer="zeros", name="bias")

    def initialize(self, x: np.ndarray) -> None:
        """Sets scale and shift such that these vectors (n, num_params) leave with mean 0 and standard deviation 1."""
        mean, sd = np.mean(x, axis=0), np.std(x, axis=0)
        # An entry that never varies shows a trace of rounding once a rotation has mixed it with others.
        sd = np.where(sd > 10 * np.finfo(x.dtype).eps * np.abs(x).max(), sd, 1.0)
        self.log_scale.assign(-np.log(sd))
        self.bias.assign(-mean / sd)

    def forward(self, x, condition=None, training: bool = False):
        return x * ops.exp(self.log_scale) + self.bias, self._log_det(x)

    def inverse(self, z, condition=None):
        return (z - self.bias) * ops.exp(-self.log_scale), -self._log_det(z)

    def _log_det(self, x):
        return ops.zeros_like(x[..., 0]) + ops.sum(self.log_scale)
