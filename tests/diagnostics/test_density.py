"""Kernel densities: as wide as what they are of, in any unit, also where there are several parts."""

from __future__ import annotations

import numpy as np
import pytest

from cinnflow.diagnostics.density import density_of


def area_of_90_percent(x: np.ndarray, y: np.ndarray) -> float:
    """Of the region of highest density, as contours draw it."""
    density = density_of(x, y)
    axes = [np.linspace(values.min() - np.ptp(values) / 4, values.max() + np.ptp(values) / 4, 100) for values in (x, y)]
    grid = np.meshgrid(*axes)
    within = density(*grid) >= np.quantile(density(x, y), 0.1)
    return float(within.mean() * np.ptp(axes[0]) * np.ptp(axes[1]))


@pytest.mark.parametrize("correlation", [0.0, 0.98])
@pytest.mark.parametrize("parts", [1, 2])
def test_contours_are_as_wide_as_the_draws_whatever_their_units(correlation: float, parts: int) -> None:
    rng = np.random.default_rng(3)
    covariance = [[1, correlation], [correlation, 1]]
    x, y = rng.multivariate_normal([0, 0], covariance, 1000).T
    x = x + 40 * rng.integers(0, parts, 1000)
    true = parts * np.pi * 4.605 * np.sqrt(np.linalg.det(covariance))
    if parts == 1 or not correlation:
        assert 0.7 * true < area_of_90_percent(x, y) < 1.5 * true
    assert area_of_90_percent(1e6 * x, 1e-9 * y) == pytest.approx(1e-3 * area_of_90_percent(x, y), rel=1e-6)


def test_a_point_and_a_line_have_no_density() -> None:
    line = np.linspace(0, 1, 50)
    assert density_of(line, 2e-9 * line) is None
    assert density_of(line, np.ones(50)) is None


def test_whole_numbers_have_contours_around_several_of_them() -> None:
    rng = np.random.default_rng(4)
    density = density_of(rng.poisson(5, 1000).astype(float), rng.normal(size=1000))
    at, beside = density(np.array([5.0]), np.zeros(1)), density(np.array([5.5]), np.zeros(1))
    assert beside > 0.5 * at
