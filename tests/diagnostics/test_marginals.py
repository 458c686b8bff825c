"""Ranks are exactly uniform under a right posterior, and what is missing is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cinnflow.diagnostics.marginals import finite_data_sets, fractional_ranks, marginals


@pytest.mark.parametrize("draws", [2, 9, 100])
@pytest.mark.parametrize("discrete", [False, True])
def test_fractional_ranks_are_uniform_for_any_number_of_draws_and_for_ties(draws: int, discrete: bool) -> None:
    rng = np.random.default_rng(draws)
    values = rng.poisson(1.0, size=(20_000, draws + 1)) if discrete else rng.normal(size=(20_000, draws + 1))
    ranks = fractional_ranks(values[:, 1:], values[:, 0], rng)
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


@settings(max_examples=50)
@given(st.integers(2, 30), st.integers(2, 20), st.integers(0, 2**32 - 1))
def test_ranks_depend_on_the_order_of_values_alone(data_sets: int, draws: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, truths = rng.normal(size=(data_sets, draws)), rng.normal(size=data_sets)
    ranks = fractional_ranks(values, truths, np.random.default_rng(0))
    assert np.all((ranks > 0) & (ranks < 1))
    assert np.array_equal(ranks, fractional_ranks(np.exp(values), np.exp(truths), np.random.default_rng(0)))
    assert np.array_equal(np.floor(ranks * (draws + 1)), np.sum(values < truths[:, None], axis=1))


def test_data_sets_that_are_not_finite_are_left_out_of_the_parameter_they_belong_to() -> None:
    draws, truths = np.zeros((5, 4, 2)), np.zeros((5, 2))
    draws[1, 2, 0], truths[3, 0] = np.nan, np.inf
    first, second = marginals(draws, truths, ["a", "b"])
    assert first.data_sets.tolist() == [0, 2, 4]
    assert first.left_out == 2
    assert first.draws.shape == (3, 4)
    assert second.left_out == 0
    assert finite_data_sets(draws, truths, ["a", "b"]).tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("draws", "truths", "names", "message"),
    [
        ((5, 4), (5, 1), ["a"], r"draws take the shape .*\(5, 4\)"),
        ((5, 4, 2), (6, 2), ["a", "b"], r"got \(5, 4, 2\), \(6, 2\)"),
        ((5, 4, 2), (5, 2), ["a"], "a name for each parameter"),
        ((5, 4, 2), (5, 2), ["a", "a"], "differ from each other"),
        ((1, 4, 2), (1, 2), ["a", "b"], "two data sets and two draws"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    draws: tuple[int, ...], truths: tuple[int, ...], names: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        list(marginals(np.zeros(draws), np.zeros(truths), names))


def test_a_parameter_without_finite_draws_is_named() -> None:
    draws = np.zeros((5, 4, 2))
    draws[:, 0, 1] = np.nan
    with pytest.raises(ValueError, match=r"parameter 'b' has 0 data sets of 5 with finite draws"):
        list(marginals(draws, np.zeros((5, 2)), ["a", "b"]))
