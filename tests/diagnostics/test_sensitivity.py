"""Weighted posteriors are those of a conjugate Gaussian under the other prior, and say where they cannot be."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import sensitivity, style, verdicts

X, NOISE = 1.0, 0.5


def posterior(prior_sd: float, prior_mean: float = 0.0) -> tuple[float, float]:
    """Mean and sd of theta given X ~ N(theta, NOISE²), for theta ~ N(prior_mean, prior_sd²)."""
    precision = 1 / prior_sd**2 + 1 / NOISE**2
    return (prior_mean / prior_sd**2 + X / NOISE**2) / precision, precision**-0.5


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    mean, sd = posterior(1.0)
    return np.random.default_rng(0).normal(mean, sd, size=(20_000, 1))


def log_ratio(draws: np.ndarray, prior_sd: float, prior_mean: float = 0.0) -> np.ndarray:
    return (draws[:, 0] ** 2 - ((draws[:, 0] - prior_mean) / prior_sd) ** 2) / 2


@pytest.mark.parametrize(("prior_sd", "prior_mean"), [(2.0, 0.0), (0.5, 0.0), (1.0, -1.0)])
def test_a_weighted_posterior_is_that_under_the_other_prior(draws, prior_sd: float, prior_mean: float) -> None:
    table = sensitivity.compute(draws, {"other": log_ratio(draws, prior_sd, prior_mean)}, ["theta"])
    own, other = table.to_dict("records")
    mean, sd = posterior(prior_sd, prior_mean)
    assert other["mean"] == pytest.approx(mean, abs=0.03)
    assert other["sd"] == pytest.approx(sd, rel=0.05)
    assert [other["q05"], other["q95"]] == pytest.approx([mean - 1.645 * sd, mean + 1.645 * sd], abs=0.06)
    assert other["shift"] == pytest.approx((mean - posterior(1.0)[0]) / posterior(1.0)[1], abs=0.08)
    assert [own["q05"], own["q50"]] == pytest.approx(np.quantile(draws, [0.05, 0.5]), abs=1e-3)
    assert sensitivity.verdict(table)["verdict"].tolist() == [verdicts.PASS]


def test_a_prior_far_away_is_not_to_be_told(draws) -> None:
    judged = sensitivity.verdict(sensitivity.compute(draws, {"far": log_ratio(draws, 0.1, -3.0)}, ["theta"]))
    assert judged["verdict"].item() == verdicts.DOUBTFUL
    assert "too uneven to tell" in judged["reason"].item()


def test_the_same_prior_and_one_that_only_cuts_change_what_they_should(draws) -> None:
    above = np.where(draws[:, 0] > 0.8, 0.0, -np.inf)
    table = sensitivity.compute(draws, {"same": np.full(len(draws), 7.0), "cut": above}, ["theta"]).set_index("prior")
    assert table.loc["same", "shift"] == pytest.approx(0, abs=1e-9)
    assert table.loc["same", "effective_draws"] == pytest.approx(len(draws))
    assert table.loc["cut", "q05"] > 0.8
    assert table.loc["cut", "effective_draws"] == pytest.approx(np.sum(draws > 0.8))


def test_weights_of_two_values_are_not_called_uneven(draws) -> None:
    ratio = np.where(draws[:, 0] > 0.8, 1.0, 0.0)
    assert sensitivity.verdict(sensitivity.compute(draws, {"two": ratio}, ["theta"]))["verdict"].item() == verdicts.PASS


@pytest.mark.parametrize(("left", "word"), [(1, verdicts.DOUBTFUL), (90, verdicts.DOUBTFUL), (110, verdicts.PASS)])
def test_a_prior_that_leaves_a_few_draws_is_not_to_be_told(draws, left: int, word: str) -> None:
    smallest = np.sort(draws[:, 0])[-left]
    table = sensitivity.compute(draws, {"cut": np.where(draws[:, 0] >= smallest, 0.0, -np.inf)}, ["theta"])
    assert sensitivity.verdict(table)["verdict"].item() == word


@pytest.mark.parametrize("parameters", [1, 7])
def test_it_is_drawn_from_its_table_alone(parameters: int, tmp_path) -> None:
    draws = np.random.default_rng(1).normal(size=(500, parameters))
    names = [f"theta_{index}" for index in range(parameters)]
    table = sensitivity.compute(draws, {"wide": 0.1 * draws[:, 0] ** 2, "far": -40 * draws[:, 0]}, names)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    pd.testing.assert_frame_equal(sensitivity.verdict(table), sensitivity.verdict(again))
    style.save(sensitivity.plot(again), tmp_path / "sensitivity.png")


@pytest.mark.parametrize("bad", [np.full(5, np.nan), np.full(5, np.inf), np.full(5, -np.inf), np.zeros(4)])
def test_ratios_that_cannot_be_used_name_their_prior(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the prior 'odd'"):
        sensitivity.compute(np.zeros((5, 1)), {"odd": bad}, ["theta"])
