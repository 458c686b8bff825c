"""The affine coupling: entries are shifted and scaled."""

from __future__ import annotations

import keras
from keras import ops

from cinnflow.arguments import positive_number
from cinnflow.networks.coupling import Coupling, soft_clamp


@keras.saving.register_keras_serializable(package="cinnflow")
class AffineCoupling(Coupling):
    """A coupling that shifts and scales.

        forward:  z = (x + t) exp(s),    log |dz/dx| =  s
        inverse:  x = z exp(−s) − t,     log |dx/dz| = −s

    Shifted first, −t is where x lies and exp(−s) how far it spreads: a location need not be learned anew, as a product
    with exp(s), for each scale that the condition asks for.

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
        self.soft_clamping = positive_number("soft_clamping", soft_clamping)

    def transform(self, x, raw):
        log_scale, shift = self._log_scale_and_shift(raw)
        return (x + shift) * ops.exp(log_scale), log_scale

    def transform_inverse(self, z, raw):
        log_scale, shift = self._log_scale_and_shift(raw)
        return z * ops.exp(-log_scale) - shift, -log_scale

    def _log_scale_and_shift(self, raw):
        return soft_clamp(raw[..., 0], self.soft_clamping), raw[..., 1]

    def get_config(self) -> dict:
        return {**super().get_config(), "soft_clamping": self.soft_clamping}
