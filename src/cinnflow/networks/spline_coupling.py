"""The spline coupling: entries go through a monotone rational-quadratic spline."""

from __future__ import annotations

import keras
from keras import ops

from cinnflow.arguments import positive_number, whole_number
from cinnflow.networks.coupling import Coupling, soft_clamp

_SHARE_SPREAD_EVENLY = 0.3


@keras.saving.register_keras_serializable(package="cinnflow")
class SplineCoupling(Coupling):
    """A coupling through a monotone spline with affine tails.

    Entries are shifted and scaled as in the affine coupling, u = (x + t) exp(s), then go through a spline of K bins in
    [−B, B] and the identity outside. In a bin of width w and height h from (u₀, v₀), with slopes d₀ and d₁ at its
    ends, σ = h/w, ξ = (u − u₀)/w:

        forward:  v = v₀ + h (σξ² + d₀ξ(1 − ξ)) / D,           D = σ + (d₀ + d₁ − 2σ) ξ(1 − ξ)
                  log |dv/du| = log(σ² (d₁ξ² + 2σξ(1 − ξ) + d₀(1 − ξ)²)) − 2 log D
        inverse:  ξ = 2c / (−b − √(b² − 4ac)),    a = h(σ − d₀) + η(d₀ + d₁ − 2σ),   η = v − v₀
                                                 b = h d₀ − η(d₀ + d₁ − 2σ),        c = −ση

    The slope at an inner knot is the harmonic mean of the neighbouring bins' σ times exp(±soft_clamping) at most, and
    no bin is narrower or lower than three tenths of an even share: the spline is well conditioned in both directions.

    Args:
        num_params: number of entries of a vector.
        bins: K, the number of bins.
        default_domain: B, half the width of the spline's domain.
        soft_clamping: bound of the logarithm of the scale, and of a slope against the mean of its bins.
        **kwargs: as for Coupling.

    Reference:
        Durkan, Bekasov, Murray & Papamakarios (2019), Neural spline flows, arXiv:1906.04032.
    """

    def __init__(
        self, num_params: int, bins: int = 16, default_domain: float = 5.0, soft_clamping: float = 1.9, **kwargs
    ):
        bins = whole_number("bins", bins, 2)
        self.coefficients = 2 + 3 * bins - 1
        super().__init__(num_params, **kwargs)
        self.bins = bins
        self.default_domain = positive_number("default_domain", default_domain)
        self.soft_clamping = positive_number("soft_clamping", soft_clamping)

    def transform(self, x, raw):
        log_scale, shift, knots = self._unpack(raw)
        u = (x + shift) * ops.exp(log_scale)
        within = ops.clip(u, -self.default_domain, self.default_domain)
        u0, w, v0, h, d0, d1 = _bin(within, knots, along="u")
        v, log_derivative = _rational_quadratic((within - u0) / w, w, v0, h, d0, d1)
        return v + (u - within), log_derivative + log_scale

    def transform_inverse(self, z, raw):
        log_scale, shift, knots = self._unpack(raw)
        within = ops.clip(z, -self.default_domain, self.default_domain)
        u0, w, v0, h, d0, d1 = _bin(within, knots, along="v")
        xi = _rational_quadratic_root(within - v0, w, h, d0, d1)
        _, log_derivative = _rational_quadratic(xi, w, v0, h, d0, d1)
        u = u0 + w * xi + (z - within)
        return u * ops.exp(-log_scale) - shift, -log_derivative - log_scale

    def _unpack(self, raw):
        """Log-scale, shift, and the knots (..., bins + 1) as (u, v, slopes); zeros give the identity."""
        k, b = self.bins, self.default_domain
        log_scale = soft_clamp(raw[..., 0], self.soft_clamping)
        u, v = _edges(raw[..., 2 : 2 + k], b), _edges(raw[..., 2 + k : 2 + 2 * k], b)
        sigma = (v[..., 1:] - v[..., :-1]) / (u[..., 1:] - u[..., :-1])
        left, right = sigma[..., :-1], sigma[..., 1:]
        # A slope far above its bin's would leave next to none in the middle of that bin, and no digits to invert it by.
        slopes = 2.0 * left * right / (left + right) * ops.exp(soft_clamp(raw[..., 2 + 2 * k :], self.soft_clamping))
        ones = ops.ones_like(slopes[..., :1])
        return log_scale, raw[..., 1], (u, v, ops.concatenate([ones, slopes, ones], axis=-1))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "bins": self.bins,
            "default_domain": self.default_domain,
            "soft_clamping": self.soft_clamping,
        }


def _edges(raw, half_width: float):
    """Ascending edges (..., K + 1) from −half_width to half_width; each bin keeps a share of the whole."""
    bins = raw.shape[-1]
    shares = _SHARE_SPREAD_EVENLY / bins + (1 - _SHARE_SPREAD_EVENLY) * ops.softmax(raw, axis=-1)
    inner = 2.0 * half_width * ops.cumsum(shares, axis=-1)[..., :-1] - half_width
    end = half_width * ops.ones_like(raw[..., :1])
    return ops.concatenate([-end, inner, end], axis=-1)


def _bin(entries, knots, along: str):
    """The bin that holds each entry: its u₀, width, v₀, height and the slopes at its ends."""
    u, v, slopes = knots
    edges = u if along == "u" else v
    index = ops.sum(ops.cast(entries[..., None] >= edges[..., 1:-1], "int32"), axis=-1)
    here = ops.one_hot(index, u.shape[-1] - 1, dtype=u.dtype)

    def pick(values):
        return ops.sum(values * here, axis=-1)

    return (
        pick(u[..., :-1]),
        pick(u[..., 1:] - u[..., :-1]),
        pick(v[..., :-1]),
        pick(v[..., 1:] - v[..., :-1]),
        pick(slopes[..., :-1]),
        pick(slopes[..., 1:]),
    )


def _rational_quadratic(xi, w, v0, h, d0, d1):
    """v and log dv/du at the position ξ in [0, 1] of a bin."""
    sigma = h / w
    mixed = xi * (1.0 - xi)
    denominator = sigma + (d0 + d1 - 2.0 * sigma) * mixed
    v = v0 + h * (sigma * ops.square(xi) + d0 * mixed) / denominator
    slope = d1 * ops.square(xi) + 2.0 * sigma * mixed + d0 * ops.square(1.0 - xi)
    return v, 2.0 * ops.log(sigma) + ops.log(slope) - 2.0 * ops.log(denominator)


def _rational_quadratic_root(eta, w, h, d0, d1):
    """The position ξ in [0, 1] of a bin at which v − v₀ = η."""
    sigma = h / w
    excess = d0 + d1 - 2.0 * sigma
    a = h * (sigma - d0) + eta * excess
    b = h * d0 - eta * excess
    c = -sigma * eta
    discriminant = ops.maximum(ops.square(b) - 4.0 * a * c, 0.0)
    return ops.clip(2.0 * c / (-b - ops.sqrt(discriminant)), 0.0, 1.0)
