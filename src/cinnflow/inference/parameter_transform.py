"""Bounded parameters on the whole line, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_ROUNDING = np.finfo(np.float32).eps
"""Parameters in single precision may lie beyond a bound by this share of it."""


class ParameterTransform:
    """The map between parameters θ within their bounds and u on the whole line, one parameter at a time.

        bounds     forward  θ -> u               inverse  u -> θ              log |du/dθ|
        none       u = θ                         θ = u                        0
        lower a    u = log(θ − a)                θ = a + exp(u)               −log(θ − a)
        upper b    u = −log(b − θ)               θ = b − exp(−u)              −log(b − θ)
        a and b    u = log(θ − a) − log(b − θ)   θ = a + (b − a) sigmoid(u)   log(b − a) − log(θ − a) − log(b − θ)

    Everything is in double precision; NumPy arrays and tensors both go in. No θ that `inverse` returns lies outside the
    bounds. A θ on a bound, where rounding may have put it, is taken as one just inside: once `adapt` knows how close to
    its bounds a parameter comes otherwise, as one at half that distance. Its u, and with it the density of the
    posterior, would be out of all proportion.

    Args:
        lower: lower bounds (parameters,), −inf where there is none.
        upper: upper bounds (parameters,), inf where there is none.

    Raises:
        ValueError: where a lower bound is not below the upper one.
    """

    def __init__(self, lower: np.ndarray, upper: np.ndarray) -> None:
        self.lower = np.array(lower, dtype=np.float64)
        self.upper = np.array(upper, dtype=np.float64)
        if self.lower.shape != self.upper.shape or self.lower.ndim != 1 or not np.all(self.lower < self.upper):
            raise ValueError(
                "lower and upper take one bound for each parameter, each lower bound below its upper one; got "
                f"lower {self.lower.tolist()} and upper {self.upper.tolist()}"
            )
        self._has_lower = np.isfinite(self.lower)
        self._has_upper = np.isfinite(self.upper)
        # Finite stand-ins where there is no bound: what they lead to is never selected, but must not be NaN.
        self._a = np.where(self._has_lower, self.lower, 0.0)
        self._b = np.where(self._has_upper, self.upper, 1.0)
        both = self._has_lower & self._has_upper
        self._log_width = np.where(both, np.log(self._b - self._a, where=both, out=np.zeros_like(self._a)), 0.0)
        self._least = np.where(both, 1e-15 * (self._b - self._a), np.finfo(np.float64).tiny)
        self.closest = np.stack([self._least, self._least])
        """What counts as the distance of a parameter on its lower and its upper bound (2, parameters)."""

    def inside(self, theta) -> tf.Tensor:
        """Whether each vector theta (..., parameters) lies within the bounds -> (...,)."""
        theta = _double(theta)
        return tf.reduce_all((theta >= self.lower) & (theta <= self.upper), axis=-1)

    def check(self, theta: np.ndarray, names: Sequence[str]) -> None:
        """Refuses parameters outside the bounds, which would be learned as ones just inside.

        Args:
            theta: (n, parameters); what is not finite is not looked at.
            names: the parameters' names.

        Raises:
            ValueError: for such parameters.
        """
        theta = np.asarray(theta)
        lower, upper = self.lower - _ROUNDING * np.abs(self.lower), self.upper + _ROUNDING * np.abs(self.upper)
        outside = np.isfinite(theta) & ((theta < lower) | (theta > upper))
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise ValueError(
                f"parameter {names[column]} is {theta[row, column]:g} in a simulation, and the posterior's bounds are "
                f"{self.lower[column]:g} and {self.upper[column]:g}: mend the posterior's lower and upper, or the prior"
            )

    def adapt(self, theta: np.ndarray) -> None:
        """Learns from parameters (n, parameters) how close to their bounds they come."""
        theta = np.asarray(theta, np.float64)
        for side, distance in enumerate((theta - self._a, self._b - theta)):
            closest = np.min(distance, axis=0, where=distance > self._least, initial=np.inf)
            self.closest[side] = np.where(np.isfinite(closest), np.maximum(closest / 2, self._least), self._least)

    def forward(self, theta) -> tuple[tf.Tensor, tf.Tensor]:
        """θ (..., parameters) within the bounds -> u (..., parameters) and log |det du/dθ| (...,)."""
        theta = _double(theta)
        above, below = theta - self._a, self._b - theta
        # Not maximum(), which would make a number of what is none.
        above = tf.where(above <= self._least, self.closest[0], above)
        below = tf.where(below <= self._least, self.closest[1], below)
        log_above = tf.math.log(tf.where(self._has_lower, above, 1.0))
        log_below = tf.math.log(tf.where(self._has_upper, below, 1.0))
        u = tf.where(self._has_lower | self._has_upper, log_above - log_below, theta)
        return u, tf.reduce_sum(self._log_width - log_above - log_below, axis=-1)

    def inverse(self, u) -> tf.Tensor:
        """u (..., parameters) -> θ (..., parameters) within the bounds."""
        u = _double(u)
        # Beyond ±700 the exponential would overflow.
        scale = tf.exp(tf.clip_by_value(u, -700.0, 700.0))
        both = self._a + (self._b - self._a) * tf.sigmoid(u)
        theta = tf.where(
            self._has_lower,
            tf.where(self._has_upper, both, self._a + scale),
            tf.where(self._has_upper, self._b - 1.0 / scale, u),
        )
        return tf.clip_by_value(theta, self.lower, self.upper)


def bounds_of(name: str, bounds, default: float, num_params: int) -> np.ndarray:
    """Bounds (num_params,) given one each or one for all; None and `default` mean no bound.

    Raises:
        ValueError: for another number of them.
    """
    values = np.array([default if bound is None else bound for bound in np.atleast_1d(bounds)], np.float64)
    if values.shape not in ((1,), (num_params,)):
        raise ValueError(f"{name} takes one bound, or one for each of {num_params} parameters, got {values.tolist()}")
    return np.broadcast_to(values, (num_params,))


def _double(x) -> tf.Tensor:
    """Numbers or a tensor in double precision; a tensor of another precision does not become one by conversion."""
    return tf.cast(x, tf.float64) if tf.is_tensor(x) else tf.convert_to_tensor(x, tf.float64)
