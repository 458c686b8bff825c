"""A smooth density of draws of two parameters, for contours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

_TRIED = 300
"""Draws that say how wide kernels are: for each width, each draw's density given all others."""
_NARROWER = 0.5 ** np.arange(6)
"""What is tried beside Scott's rule, which makes kernels far too wide for a posterior of several parts."""


def density_of(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """A Gaussian kernel density of draws; None where they lie in a point or on a line, and have none.

    The kernels are those under which each draw is likeliest given all others, of these: the shape of all draws; or a
    width for each axis alone, which suits parts that lie apart.

    Args:
        x: draws of one parameter (draws,).
        y: draws of another (draws,), in whatever unit.

    Returns:
        A function of x and y, arrays of one shape, that gives the density up to a factor.

    Reference:
        Habbema, Hermans and van den Broek (1974) (leave-one-out likelihood); Scott (1992), Multivariate density
        estimation.
    """
    draws = np.stack([x, y])
    centre, scale = draws.mean(axis=1, keepdims=True), draws.std(axis=1, keepdims=True)
    if not (scale > 0).all():
        return None
    draws = (draws - centre) / scale
    shape = np.cov(draws)
    if np.linalg.matrix_rank(shape) < 2:
        return None
    tried, widest = draws[:, :_TRIED], draws.shape[1] ** (-1 / 6)
    alone = [_width(row, widest) / widest for row in tried]
    kernels = [factor * kernel for factor in _NARROWER[:2] ** 2 for kernel in (shape, np.diag(np.square(alone)))]
    best = widest**2 * max(kernels, key=lambda kernel: _left_out(tried, widest**2 * kernel))

    def density(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        at = (np.stack([x.ravel(), y.ravel()]) - centre) / scale
        return np.exp(-0.5 * _distances(at, draws, best)).sum(axis=1).reshape(x.shape)

    return density


def _width(draws: np.ndarray, widest: float) -> float:
    """The kernel's width along one axis, for draws (draws,) of sd 1."""
    if len(np.unique(draws)) < len(draws) / 2:
        return widest  # whole numbers and the like: kernels would shrink to nothing around each
    return max(widest * _NARROWER, key=lambda width: _left_out(draws[None], np.array([[width**2]])))


def _left_out(draws: np.ndarray, kernel: np.ndarray) -> float:
    """Sum of the log densities of draws (axes, draws), each under Gaussian kernels (axes, axes) around all others."""
    squares = _distances(draws, draws, kernel)
    np.fill_diagonal(squares, np.inf)
    log_size = 0.5 * np.linalg.slogdet(kernel)[1]
    return float(logsumexp(-0.5 * squares, axis=1).sum() - draws.shape[1] * log_size)


def _distances(at: np.ndarray, draws: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Squares (places, draws) of how many standard deviations of a kernel lie between (axes, places) and draws."""
    root = np.linalg.cholesky(kernel)
    at, draws = (np.linalg.solve(root, values) for values in (at, draws))
    return sum((one[:, None] - other) ** 2 for one, other in zip(at, draws, strict=True))
