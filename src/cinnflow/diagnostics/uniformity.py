"""Are these numbers uniform? Exact simultaneous bands for an empirical distribution function, and the test they make.

The band at gamma holds, at each evaluation point z_k = k / K, the counts R_k = #{u <= z_k} with

    2 min(P(Bin(n, z_k) <= R_k), P(Bin(n, z_k) >= R_k)) >= gamma,

and the critical gamma makes n uniform numbers stay inside at every point at once with probability 1 - alpha. That
probability is computed, not simulated: the counts of n uniform numbers are those of a Poisson process of rate n that
has n points by time 1, so each step from z_k to z_{k+1} is a convolution with one Poisson mass function.

Reference:
    Säilynoja, Bürkner and Vehtari, Graphical test for discrete uniformity and its applications in goodness-of-fit
    evaluation and multiple sample comparison, 2022, arXiv:2103.10522; Moscovich and Nadler, Fast calculation of
    boundary crossing probabilities for Poisson processes, 2017, arXiv:1503.04363.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import stats

MAX_POINTS = 100
"""Evaluation points; more make the band no more sensitive to what matters, and tables longer."""

_BISECTIONS = 40


def evaluation_points(count: int) -> np.ndarray:
    """The points z_k = k / K inside (0, 1) at which `count` numbers are compared to a uniform distribution (K - 1,)."""
    points = max(2, min(count, MAX_POINTS))
    return np.arange(1, points) / points


def ecdf(values: np.ndarray) -> np.ndarray:
    """Share of the values at or below each evaluation point (K - 1,)."""
    points = evaluation_points(len(values))
    return np.searchsorted(np.sort(values), points, side="right") / len(values)


def band(count: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest share at each point that `count` uniform numbers keep to, everywhere, with 1 - alpha.

    Args:
        count: how many numbers.
        alpha: probability that uniform numbers leave the band somewhere.

    Returns:
        Lower and upper limit of the empirical distribution function (K - 1,) each.
    """
    lower, upper = _limits(count, critical_gamma(count, alpha))
    return lower / count, upper / count


def gamma(values: np.ndarray) -> float:
    """The smallest two-sided tail probability over the evaluation points; small when the values are not uniform."""
    count, points = len(values), evaluation_points(len(values))
    counts = np.rint(ecdf(values) * count)
    tails = np.minimum(stats.binom.cdf(counts, count, points), stats.binom.sf(counts - 1, count, points))
    return float(2 * tails.min())


def p_value(values: np.ndarray) -> float:
    """Probability that uniform numbers give a gamma as small as these do.

    Args:
        values: numbers in [0, 1] (count,).
    """
    # The band that is just narrower than the observed gamma: uniform numbers that stay inside are less extreme.
    lower, upper = _limits(len(values), gamma(values) * (1 + 1e-9))
    return float(np.clip(1 - _probability_inside(lower, upper, len(values)), 0.0, 1.0))


@lru_cache(maxsize=256)
def critical_gamma(count: int, alpha: float) -> float:
    """The largest gamma whose band holds `count` uniform numbers with probability 1 - alpha at least."""
    low, high = np.log(alpha / (4 * MAX_POINTS)), np.log(2 * alpha)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        inside = _probability_inside(*_limits(count, np.exp(middle)), count)
        low, high = (middle, high) if inside >= 1 - alpha else (low, middle)
    return float(np.exp(low))


def _limits(count: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    points = evaluation_points(count)
    lower = stats.binom.ppf(level / 2, count, points)
    upper = count - stats.binom.ppf(level / 2, count, 1 - points)
    return np.maximum(lower, 0).astype(int), upper.astype(int)


def _probability_inside(lower: np.ndarray, upper: np.ndarray, count: int) -> float:
    if np.any(lower > upper):
        return 0.0
    lower, upper = np.append(lower, count), np.append(upper, count)
    step = stats.poisson.pmf(np.arange(count + 1), count / len(lower))
    step = step[: np.flatnonzero(step > 0)[-1] + 1]
    mass, start = np.ones(1), 0
    for low, high in zip(lower, upper, strict=True):
        mass, start = np.convolve(mass, step)[max(low - start, 0) : high - start + 1], max(low, start)
        if not mass.size:
            return 0.0
    return float(mass[0] / stats.poisson.pmf(count, count))
