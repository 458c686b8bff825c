"""The affine coupling: entries are scaled and shifted."""

from __future__ import annotations

import math

import keras
from keras import ops

from cinnflow.networks.coupling import Coupling


@keras.saving.register_keras_serializable(package="cinnflow")
class AffineCoupling(Coupling):
    """A coupling that scales and shifts.

        forward:  z = x exp(s) + t,      log |dz/dx| =  s
        inverse:  x = (z − t) exp(−s),   log |dx/dz| = −s

    The logarithm of the scale is clamped softly, so that no layer scales by more than exp(±soft_clamping):

        s = (2a/π) arctan(raw/a),   a = soft_clamping

    Args:
        num_params: number of entries of a vector.
        soft_clamping: bound of the logarithm of the scale.
        **kwargs: as for Coupling.

    Reference:
        Ardizzone et al. (2019), Guided image generation with conditional invertible neural networks, arXiv:1907.02392.
    """

    coefficients = 2

    def __init__(self, num_params: int, soft_clamping: float = 1.9, **kwargs):
        super().__init__(num_params, **kwargs)
        self.soft_clamping = soft_clamping

    def transform(self, x, raw):
        log_scale, shift = self._log_scale_and_shift(raw)
        return x * ops.exp(log_scale) + shift, log_scale

    def transform_inverse(self, z, raw):
        log_scale, shift = self._log_scale_and_shift(raw)
        return (z - shift) * ops.exp(-log_scale), -log_scale

    def _log_scale_and_shift(self, raw):
        log_scale = 2.0 * self.soft_clamping / math.pi * ops.arctan(raw[..., 0] / self.soft_clamping)
        return log_scale, raw[..., 1]

    def get_config(self) -> dict:
        return {**super().get_config(), "soft_clamping": self.soft_clamping}
