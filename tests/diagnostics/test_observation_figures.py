"""Pairs plot and posterior predictive check of one observation."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import pairs, predictive, style, verdicts


@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize(("parameters", "panels"), [(1, 1), (2, 4), (5, 25), (20, 20)])
def test_pairs_are_drawn_from_one_parameter_to_twenty(parameters: int, panels: int, truth: bool, tmp_path) -> None:
    rng = np.random.default_rng(0)
    names = [f"theta_{index}" for index in range(parameters)]
    posterior, prior = rng.normal(size=(200, parameters)), 3 * rng.normal(size=(100, parameters))
    table = pairs.compute(posterior, prior, names, posterior[0] if truth else None)
    figure = pairs.plot(pd.read_csv(io.StringIO(table.to_csv(index=False))))
    assert len(figure.axes) == panels
    style.save(figure, tmp_path / "pairs.png")
    assert table["source"].value_counts().to_dict() == {"posterior": 200, "prior": 100} | (
        {"truth": 1} if truth else {}
    )


def test_pairs_of_degenerate_draws_are_drawn(tmp_path) -> None:
    line = np.linspace(0, 1, 50)
    posterior = np.column_stack([line, 2 * line, np.ones(50)])
    style.save(pairs.plot(pairs.compute(posterior, posterior, ["a", "b", "c"])), tmp_path / "pairs.png")


def test_a_parameter_may_be_called_source(tmp_path) -> None:
    draws = np.random.default_rng(1).normal(size=(50, 2))
    style.save(pairs.plot(pairs.compute(draws, draws, ["source", "b"])), tmp_path / "pairs.png")


def test_pairs_refuse_another_number_of_parameters() -> None:
    with pytest.raises(ValueError, match=r"prior takes the shape \(draws, 2\), got \(5, 3\)"):
        pairs.compute(np.zeros((5, 2)), np.zeros((5, 3)), ["a", "b"])


def rejected(observed: np.ndarray, simulated: np.ndarray) -> bool:
    table = predictive.compute({"x": simulated}, {"x": observed})
    return predictive.verdict(table)["verdict"].item() == verdicts.FAIL


@pytest.mark.parametrize("counts", [False, True])
def test_observations_like_the_simulations_are_rejected_as_often_as_stated(counts: bool) -> None:
    rng = np.random.default_rng(2)
    rejections = 0
    for _ in range(300):
        series = rng.poisson(2.0, size=(200, 14)) if counts else np.cumsum(rng.normal(size=(200, 14)), axis=1)
        rejections += rejected(series[0], series[1:])
    assert rejections / 300 <= 0.09
    assert counts or rejections / 300 >= 0.01


def test_one_point_far_out_is_rejected() -> None:
    simulated = np.random.default_rng(3).normal(size=(300, 14))
    observed = np.zeros(14)
    assert not rejected(observed, simulated)
    observed[4] = 6.0
    assert rejected(observed, simulated)


def test_quantiles_are_those_of_the_simulations_in_place() -> None:
    simulated = np.random.default_rng(4).normal(size=(500, 3, 2)) + np.arange(6).reshape(3, 2)
    table = predictive.compute({"x": simulated}, {"x": np.zeros((3, 2))})
    row = table[(table["index"] == 2) & (table["column"] == 1)].iloc[0]
    assert row["q95"] == pytest.approx(np.quantile(simulated[:, 2, 1], 0.95))


@pytest.mark.parametrize("shape", [(), (1,), (14,), (200,), (30, 2), (5, 4, 3), (40, 40)])
def test_data_of_any_shape_are_drawn(shape: tuple[int, ...], tmp_path) -> None:
    rng = np.random.default_rng(5)
    simulated = {"x": rng.normal(size=(50, *shape)), "other": rng.normal(size=(50, 3))}
    table = predictive.compute(simulated, {"x": rng.normal(size=shape), "other": np.zeros(3)})
    assert len(table) == int(np.prod(shape)) + 3
    style.save(predictive.plot(pd.read_csv(io.StringIO(table.to_csv(index=False)))), tmp_path / "predictive.png")


def test_failed_simulations_and_missing_points_are_left_out_and_counted() -> None:
    simulated = np.random.default_rng(6).normal(size=(60, 5))
    simulated[:7] = np.nan
    table = predictive.compute({"x": simulated}, {"x": np.array([0, 0, np.nan, 0, 0])})
    assert table["simulations"].iloc[0] == 53
    judged = predictive.verdict(table)
    assert judged["value"].item() == 1
    assert "7 failed simulations left out" in judged["reason"].item()


def test_an_observation_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'x' is observed with the shape \(3,\), simulated with \(4,\)"):
        predictive.compute({"x": np.zeros((9, 4))}, {"x": np.zeros(3)})
    with pytest.raises(ValueError, match=r"'y' is observed with the shape \(3,\), simulated with None"):
        predictive.compute({"x": np.zeros((9, 4))}, {"y": np.zeros(3)})


@pytest.mark.parametrize(("observed", "p_value"), [(100.0, 1 / 100), (0.0, 1.0)])
def test_the_observation_counts_among_the_data_sets(observed: float, p_value: float) -> None:
    simulated = np.concatenate([np.linspace(-2, -1, 49), np.linspace(1, 2, 50)])[:, None]
    assert predictive.compute({"x": simulated}, {"x": np.array([observed])})["p_value"].iloc[0] == pytest.approx(
        p_value
    )


def test_the_prior_is_checked_beside_the_posterior(tmp_path) -> None:
    rng = np.random.default_rng(7)
    simulated, prior = {"x": rng.normal(size=(200, 14))}, {"x": 5 + rng.normal(size=(200, 14))}
    labels = {"x": "boys in bed", "x_0": "day"}
    table = predictive.compute(simulated, {"x": np.zeros(14)}, prior, labels)
    table = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert predictive.verdict(table)["verdict"].item() == verdicts.PASS
    assert predictive.verdict_prior(table)["verdict"].item() == verdicts.DOUBTFUL
    figure = predictive.plot_prior(table)
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("day", "boys in bed")
    style.save(figure, tmp_path / "prior_predictive.png")


def test_without_simulations_from_the_prior_there_is_a_sentence_and_no_verdict(tmp_path) -> None:
    table = predictive.compute({"x": np.random.default_rng(8).normal(size=(20, 3))}, {"x": np.zeros(3)})
    assert predictive.verdict_prior(table).empty
    style.save(predictive.plot_prior(table), tmp_path / "prior_predictive.png")
