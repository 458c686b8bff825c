"""The simultaneous band holds exactly what it promises."""

from __future__ import annotations

from itertools import product
from math import factorial

import numpy as np
import pytest
from arviz.stats.ecdf_utils import ecdf_confidence_band
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cinnflow.diagnostics import uniformity
from cinnflow.diagnostics.marginals import fractional_ranks


def cell_midpoints(cells: tuple[int, ...]) -> np.ndarray:
    """Numbers of which `cells[k]` lie between z_k and z_{k+1}."""
    return np.repeat((np.arange(len(cells)) + 0.5) / len(cells), cells)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_p_value_is_the_sum_over_all_outcomes(count: int) -> None:
    # With so few numbers, each outcome is how many fall into each of `count` cells: all can be listed.
    outcomes = [cells for cells in product(range(count + 1), repeat=count) if sum(cells) == count]
    probability = [factorial(count) / np.prod([factorial(cell) for cell in cells]) / count**count for cells in outcomes]
    gammas = np.array([uniformity.gamma(cell_midpoints(cells)) for cells in outcomes])
    for cells, gamma in zip(outcomes, gammas, strict=True):
        expected = np.sum(probability, where=gammas <= gamma * (1 + 1e-9))
        assert uniformity.p_value(cell_midpoints(cells)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("count", "alpha"), [(20, 0.05), (150, 0.05), (500, 0.05), (500, 0.0025), (2000, 0.01)])
def test_band_holds_uniform_numbers_as_often_as_it_says(count: int, alpha: float) -> None:
    repetitions = 40_000
    cells = len(uniformity.evaluation_points(count)) + 1
    counts = np.random.default_rng(1).multinomial(count, np.full(cells, 1 / cells), size=repetitions)
    shares = np.cumsum(counts, axis=1)[:, :-1] / count
    lower, upper = uniformity.band(count, alpha)
    left = np.mean(np.any((shares < lower - 1e-12) | (shares > upper + 1e-12), axis=1))
    error = np.sqrt(alpha * (1 - alpha) / repetitions)
    # Counts are whole, so that the band may keep a little more than it has to, never less.
    assert left <= alpha + 4 * error
    assert left >= (0.5 if count <= 20 else 0.85) * alpha - 4 * error


@pytest.mark.parametrize("count", [20, 100, 500])
def test_band_is_that_of_arviz_within_one_count(count: int) -> None:
    points = uniformity.evaluation_points(count)
    theirs = ecdf_confidence_band(
        count, points, points, prob=0.95, method="simulated", num_trials=4000, random_state=np.random.default_rng(0)
    )
    # Limits are whole counts: of 20 numbers one is 5 %, of 100 or more no more than 1 %.
    np.testing.assert_allclose(uniformity.band(count, 0.05), theirs, atol=1 / count + 1e-9)


@settings(max_examples=60)
@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=120), st.sampled_from([0.01, 0.05, 0.3]))
def test_p_value_and_band_agree(values: list[float], alpha: float) -> None:
    numbers = np.array(values)
    lower, upper = uniformity.band(len(numbers), alpha)
    share = uniformity.ecdf(numbers)
    leaves = bool(np.any((share < lower - 1e-12) | (share > upper + 1e-12)))
    p_value = uniformity.p_value(numbers)
    assert 0 <= p_value <= 1
    assert leaves == (p_value <= alpha)


def test_p_values_of_uniform_numbers_are_uniform() -> None:
    rng = np.random.default_rng(2)
    p_values = np.array([uniformity.p_value(rng.uniform(size=300)) for _ in range(1000)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 1000))


def test_p_value_is_the_same_for_mirrored_numbers() -> None:
    numbers = np.random.default_rng(3).beta(2, 1, size=80)
    assert uniformity.p_value(numbers) == pytest.approx(uniformity.p_value(1 - numbers))


@pytest.mark.parametrize("shape", [(0.7, 0.7), (1.5, 1.5), (1.3, 0.8), (0.8, 1.3)])
def test_what_is_not_uniform_has_a_small_p_value(shape: tuple[float, float]) -> None:
    assert uniformity.p_value(stats.beta(*shape).rvs(500, random_state=np.random.default_rng(4))) < 1e-3


def test_plain_ranks_fail_a_right_posterior_and_fractional_ranks_do_not() -> None:
    # A rank is 0, 1, ... or the number of draws; divided by that number, it is not uniform at the points z_k.
    rng = np.random.default_rng(5)
    failed = {"plain": 0, "fractional": 0}
    for _ in range(100):
        draws, truths = rng.normal(size=(200, 20)), rng.normal(size=200)
        failed["plain"] += uniformity.p_value(np.mean(draws < truths[:, None], axis=1)) <= 0.05
        failed["fractional"] += uniformity.p_value(fractional_ranks(draws, truths, rng)) <= 0.05
    assert failed["plain"] > 30
    assert failed["fractional"] <= 12
