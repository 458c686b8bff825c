"""Observations that the model could have made pass as often as stated; others are seen."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cinnflow.diagnostics import misspecification, style, verdicts


def gaussian_summaries(data_sets: int, seed: int, sd: float = 1.0) -> np.ndarray:
    """Means and log standard deviations of 50 observations around a location from N(0, 1), in two dimensions."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(data_sets, 1, 2)) + sd * rng.normal(size=(data_sets, 50, 2))
    return np.concatenate([x.mean(axis=1), np.log(x.std(axis=1))], axis=1)


def rejections(data_sets: int, sd: float, repetitions: int = 200) -> float:
    """Share of repetitions in which data of this standard deviation fail; the model's own is 1."""
    words = []
    for seed in range(repetitions):
        observed, reference = gaussian_summaries(data_sets, seed, sd), gaussian_summaries(120, 10_000 + seed)
        table = misspecification.compute(observed, reference, resamples=99, seed=seed)
        words.append(misspecification.verdict(table)["verdict"].item())
    return words.count(verdicts.FAIL) / repetitions


@pytest.mark.parametrize("data_sets", [1, 20])
def test_a_right_model_fails_as_often_as_stated(data_sets: int) -> None:
    assert 0.01 <= rejections(data_sets, sd=1.0) <= 0.09


@pytest.mark.parametrize(("data_sets", "sd"), [(1, 1.5), (1, 0.6), (20, 1.1)])
def test_another_variance_is_flagged(data_sets: int, sd: float) -> None:
    assert rejections(data_sets, sd, repetitions=40) >= 0.95


def test_units_and_dependent_entries_do_not_matter() -> None:
    observed, reference = gaussian_summaries(5, 1, 1.3), gaussian_summaries(100, 2)
    mixed = np.random.default_rng(3).normal(size=(4, 4)) * [1e-6, 1.0, 1e4, 1e8]
    plain = misspecification.compute(observed, reference)
    other = misspecification.compute(observed @ mixed + 7.0, reference @ mixed + 7.0)
    np.testing.assert_allclose(other["squared_mmd"], plain["squared_mmd"], rtol=1e-6)
    doubled = misspecification.compute(np.tile(observed, 2), np.tile(reference, 2))
    np.testing.assert_allclose(doubled["squared_mmd"], plain["squared_mmd"], rtol=1e-6)


@pytest.mark.parametrize(("simulations", "entries", "off"), [(120, 1000, 5.0), (128, 120, 5.0), (120, 61, 2.0)])
def test_more_entries_than_simulations_hide_nothing(simulations: int, entries: int, off: float) -> None:
    words = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        observed, reference = rng.normal(size=(1, entries)), rng.normal(size=(simulations, entries))
        table = misspecification.compute(observed + off * (np.arange(entries) % 3 == 0), reference)
        right = misspecification.compute(observed, reference)
        words.append([misspecification.verdict(t)["verdict"].item() for t in (table, right)])
    flagged, alarms = (sum(word == verdicts.FAIL for word in column) for column in zip(*words, strict=True))
    assert flagged == 20
    assert alarms <= 4


def test_it_is_the_squared_mmd_of_its_definition() -> None:
    x, y = gaussian_summaries(6, 1), gaussian_summaries(30, 2)
    rows = misspecification._whitened(np.concatenate([x, y]))

    def mean_kernel(a: np.ndarray, b: np.ndarray) -> float:
        squares = np.sum(np.square(a[:, None] - b), axis=2) / 4
        return float(np.mean([np.exp(-squares / (2 * width)) for width in (0.25, 1, 4, 16, 64)]))

    own, others = rows[:6], rows[6:]
    expected = mean_kernel(own, own) + mean_kernel(others, others) - 2 * mean_kernel(own, others)
    table = misspecification.compute(x, y, resamples=5)
    assert table["squared_mmd"].iloc[0] == pytest.approx(expected)
    assert list(table["sample"]) == ["observed"] + ["resampled"] * 5


def test_rows_that_are_not_finite_are_left_out_and_counted() -> None:
    observed, reference = gaussian_summaries(3, 1), gaussian_summaries(50, 2)
    observed[0, 1], reference[7, 0] = np.nan, np.inf
    table = misspecification.compute(observed, reference)
    assert table[["data_sets", "simulations", "left_out"]].iloc[0].tolist() == [2, 49, 2]
    assert "2 data sets left out" in misspecification.verdict(table)["reason"].item()


@given(
    observed=arrays(np.float64, (2, 3), elements=st.floats(allow_nan=False, allow_infinity=False)),
    reference=arrays(np.float64, (5, 3), elements=st.floats(allow_nan=False, allow_infinity=False)),
)
@settings(max_examples=40)
def test_any_finite_summaries_have_a_p_value(observed: np.ndarray, reference: np.ndarray) -> None:
    table = misspecification.compute(observed, reference, resamples=9)
    assert np.isfinite(table["squared_mmd"]).all()
    assert 0 < table["p_value"].iloc[0] <= 1


def test_thousands_of_data_sets_are_compared_in_part() -> None:
    rng = np.random.default_rng(4)
    table = misspecification.compute(rng.normal(size=(3000, 3)), rng.normal(size=(1500, 3)), resamples=50)
    assert table[["data_sets", "simulations"]].iloc[0].tolist() == [1000, 1000]


@pytest.mark.parametrize("sd", [1.0, 2.0])
def test_the_figure_is_drawn_from_the_file(sd: float, tmp_path) -> None:
    table = misspecification.compute(gaussian_summaries(1, 5, sd), gaussian_summaries(200, 6))
    figure = misspecification.plot(pd.read_csv(io.StringIO(table.to_csv(index=False))))
    style.save(figure, tmp_path / "misspecification.png")
    assert len(figure.axes) == 1


def test_shapes_that_disagree_and_summaries_that_are_not_there_are_told() -> None:
    with pytest.raises(ValueError, match=r"got \(4,\) and \(9, 4\)"):
        misspecification.compute(np.zeros(4), np.zeros((9, 4)))
    with pytest.raises(ValueError, match="0 observed data sets and 9 simulations"):
        misspecification.compute(np.full((1, 4), np.nan), np.zeros((9, 4)))


def each(observed: np.ndarray, seed: int = 0) -> pd.DataFrame:
    return misspecification.compute_each(observed, gaussian_summaries(120, 10_000 + seed), seed=seed)


@pytest.mark.parametrize("data_sets", [2, 10])
def test_several_data_sets_of_a_right_model_fail_as_often_as_stated(data_sets: int) -> None:
    words = [
        misspecification.verdict(each(gaussian_summaries(data_sets, seed), seed))["verdict"].item()
        for seed in range(100)
    ]
    assert words.count(verdicts.FAIL) <= 11
    assert words.count(verdicts.DOUBTFUL) <= 11


def test_many_data_sets_of_a_right_model_are_hardly_ever_doubtful() -> None:
    """As many as there are simulations: then half of the time one is further than these all."""
    words = [
        misspecification.verdict(each(gaussian_summaries(120, seed), seed))["verdict"].item() for seed in range(40)
    ]
    assert words.count(verdicts.PASS) >= 34


def test_data_sets_that_are_unlike_any_simulation_fail_whatever_the_first_one_is() -> None:
    observed = gaussian_summaries(40, 1)
    observed[36:] += 500.0
    row = misspecification.verdict(each(observed)).iloc[0]
    assert row["verdict"] == verdicts.FAIL
    assert "4 further off than any simulation, numbers 36, 37, 38, 39 (" in row["reason"]


def test_many_data_sets_a_little_off_fail_together() -> None:
    row = misspecification.verdict(each(gaussian_summaries(40, 1, sd=1.2))).iloc[0]
    assert row["verdict"] == verdicts.FAIL


@pytest.mark.parametrize(("data_sets", "words"), [(3, [verdicts.FAIL]), (40, [verdicts.FAIL, verdicts.DOUBTFUL])])
def test_a_single_data_set_far_off_is_named(data_sets: int, words: list[str]) -> None:
    observed = gaussian_summaries(data_sets, 1)
    observed[2] += 500.0
    row = misspecification.verdict(misspecification.compute_each(observed, gaussian_summaries(300, 2))).iloc[0]
    assert row["verdict"] in words
    assert "1 further off than any simulation, number 2 (" in row["reason"]


def test_data_sets_of_a_group_unlike_the_prior_are_judged_one_by_one() -> None:
    reference = gaussian_summaries(300, 2)
    alike = reference[np.abs(reference[:, :2]).max(axis=1) < 0.5][:10]
    table = misspecification.compute_each(alike, gaussian_summaries(300, 3))
    assert misspecification.verdict(table)["verdict"].item() == verdicts.PASS


def test_of_one_data_set_the_result_is_the_same_and_exact() -> None:
    observed, reference = gaussian_summaries(1, 5), gaussian_summaries(100, 6)
    one = misspecification.compute_each(observed, reference)
    pd.testing.assert_frame_equal(one.drop(columns="data_set"), misspecification.compute(observed, reference))
    ranks = np.array(one["p_value"].iloc[0] * 101)
    assert ranks == pytest.approx(np.round(ranks))
    assert len(one) == 101


def test_data_sets_that_are_not_finite_are_left_out_one_by_one() -> None:
    observed = gaussian_summaries(4, 1)
    observed[0, 0] = np.nan
    table = each(observed)
    assert table[["data_sets", "left_out"]].iloc[0].tolist() == [3, 1]
    assert table["data_set"].unique().tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="0 observed data sets"):
        each(np.full((2, 4), np.nan))


def test_the_figure_has_a_line_for_each_data_set(tmp_path) -> None:
    observed = gaussian_summaries(12, 1)
    observed[3] += 3.0
    figure = misspecification.plot(pd.read_csv(io.StringIO(each(observed).to_csv(index=False))))
    style.save(figure, tmp_path / "misspecification.png")
    assert len(figure.axes[0].lines) == 13
