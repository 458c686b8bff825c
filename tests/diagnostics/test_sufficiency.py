"""Use of the data: a posterior that loses what the data say is found, though it is calibrated."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import regression, sbc, style, sufficiency, verdicts

NOISE = 0.2


def make_posterior(
    parameters: int = 2, data_sets: int = 500, draws: int = 200, *, lost: float = 0.0, copies: int = 7, seed: int = 0
) -> dict[str, np.ndarray]:
    """Exact draws of theta ~ N(0, 1), given `copies` of theta + NOISE e for each parameter, all mixed up.

    With `lost`, given no more than their mean with further noise of that sd: calibrated, and too wide.
    """
    rng = np.random.default_rng(seed)
    truths = rng.normal(size=(data_sets, parameters))
    data = truths[:, :, None] + NOISE * rng.normal(size=(data_sets, parameters, copies))
    seen = data.mean(axis=2) + lost * rng.normal(size=truths.shape)
    variance = NOISE**2 / copies + lost**2
    means, sd = seen / (1 + variance), np.sqrt(variance / (1 + variance))
    values = means[:, None] + sd * rng.normal(size=(data_sets, draws, parameters))
    return {"draws": values, "truths": truths, "data": data.reshape(data_sets, -1)}


def compute(made: dict[str, np.ndarray]) -> pd.DataFrame:
    names = [f"theta_{index}" for index in range(made["truths"].shape[1])]
    return sufficiency.compute(made["draws"], made["truths"], names, data={"x": made["data"]})


def words(made: dict[str, np.ndarray]) -> list[str]:
    return list(sufficiency.verdict(compute(made))["verdict"])


def through_csv(table: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def png(figure, path) -> bytes:
    style.save(figure, path)
    return path.read_bytes()


@pytest.mark.parametrize("draws", [2, 10, 200])
@pytest.mark.parametrize("data_sets", [20, 500])
def test_right_posteriors_fail_rarely(draws: int, data_sets: int) -> None:
    failed = [verdicts.FAIL in words(make_posterior(2, data_sets, draws, seed=seed)) for seed in range(60)]
    assert np.mean(failed) <= 0.05


def test_a_calibrated_posterior_that_loses_data_is_always_found() -> None:
    for seed in range(20):
        made = make_posterior(1, lost=1.0, copies=1, seed=seed)
        assert words(made) == [verdicts.FAIL]
    table = sbc.compute(made["draws"], made["truths"], ["theta"])
    assert set(sbc.verdict(table)["verdict"]) == {verdicts.PASS}
    row = compute(made).iloc[0]
    assert row["r2"] == pytest.approx(1 / (1 + 1 + NOISE**2), abs=0.08)
    assert row["r2_regression"] == pytest.approx(1 / (1 + NOISE**2), abs=0.02)
    (reason,) = sufficiency.verdict(compute(made))["reason"]
    assert f"better: R² {row['r2_regression']:.3f} against {row['r2']:.3f} (p = " in reason


def test_a_posterior_of_statistics_whose_order_is_lost_is_found() -> None:
    """Exact, but for any order of the three statistics: each parameter's draws are all three parameters' in turn."""
    for seed in range(20):
        made = make_posterior(3, draws=201, copies=1, seed=seed)
        mixed = made["draws"].reshape(500, -1)[:, :201, None]
        assert words({**made, "draws": np.repeat(mixed, 3, axis=2)}) == [verdicts.FAIL] * 3


@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_more_entries_than_data_sets(lost: float) -> None:
    made = make_posterior(data_sets=150, lost=lost)
    noise = np.random.default_rng(1).normal(size=(150, 200))
    made["data"] = np.concatenate([noise, made["data"]], axis=1)
    assert words(made) == [verdicts.FAIL if lost else verdicts.PASS] * 2


def test_units_and_heavy_tails_do_not_matter() -> None:
    def stretched(values: np.ndarray) -> np.ndarray:
        return 1e6 * np.sinh(3 * values)

    for lost in (0.0, 1.0):
        made = make_posterior(lost=lost)
        tailed = {name: stretched(values) for name, values in made.items()}
        # Between two true values, where a draw stands depends on the scale.
        numbers = ["r2", "r2_regression"]
        np.testing.assert_allclose(compute(tailed)[numbers], compute(made)[numbers], atol=1e-3)
        assert words(tailed) == words(made)


def test_counts_are_predicted_too() -> None:
    made = make_posterior(lost=1.0)
    assert words({**made, "truths": np.floor(made["truths"]), "draws": np.floor(made["draws"])}) == [verdicts.FAIL] * 2
    made = make_posterior()
    assert words({**made, "truths": np.floor(made["truths"]), "draws": np.floor(made["draws"])}) == [verdicts.PASS] * 2


def test_entries_that_are_not_finite_or_constant_do_no_harm() -> None:
    made = make_posterior(lost=1.0)
    made["data"][::5] = np.nan
    made["data"][3, 2] = np.inf
    others = np.column_stack([np.full(500, np.nan), np.ones(500)])
    made["data"] = np.concatenate([made["data"], others], axis=1)
    assert words(made) == [verdicts.FAIL] * 2
    assert 0.6 < compute(made)["r2_regression"].iloc[0] < 0.9


@pytest.mark.parametrize("data", [np.ones((60, 3)), np.eye(60)[:, :1], np.empty((60, 0))], ids=["same", "once", "none"])
def test_data_that_say_nothing_predict_nothing(data: np.ndarray) -> None:
    made = make_posterior(data_sets=60)
    table = compute({**made, "data": data})
    assert (table["r2_regression"].abs() < 0.2).all()
    assert set(sufficiency.verdict(table)["verdict"]) == {verdicts.PASS}


@pytest.mark.parametrize("data_sets", [2, 19])
def test_few_data_sets_are_no_regression_and_said(data_sets: int, tmp_path) -> None:
    table = compute(make_posterior(data_sets=data_sets, lost=1.0))
    judged = sufficiency.verdict(table)
    assert set(judged["verdict"]) == {verdicts.PASS}
    assert judged["p_value"].isna().all()
    assert f"no regression on {data_sets} data sets: it takes 20" in judged["reason"].iloc[0]
    assert png(sufficiency.plot(through_csv(table)), tmp_path / "figure.png")


def test_a_constant_parameter_passes_and_has_a_figure(tmp_path) -> None:
    made = {
        "draws": np.ones((40, 30, 1)),
        "truths": np.ones((40, 1)),
        "data": np.random.default_rng(0).normal(size=(40, 3)),
    }
    assert words(made) == [verdicts.PASS]
    assert png(sufficiency.plot(compute(made)), tmp_path / "figure.png")


def test_data_sets_left_out_take_their_data_with_them() -> None:
    made = make_posterior(copies=1)
    draws = made["draws"].copy()
    draws[:100, 0, 0] = np.nan
    table = compute({**made, "draws": draws})
    kept = compute({name: values[100:] for name, values in made.items()})
    pd.testing.assert_frame_equal(table.drop(columns="left_out"), kept.drop(columns="left_out"))
    assert "100 data sets left out" in sufficiency.verdict(table)["reason"].iloc[0]


def test_no_more_data_sets_and_entries_than_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sufficiency, "_MOST_DATA_SETS", 200)
    monkeypatch.setattr(regression, "_MOST_ENTRIES", 5)
    made = make_posterior(lost=1.0)
    assert compute(made)["data_sets"].eq(200).all()
    assert words(made) == [verdicts.FAIL] * 2


@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_a_figure_needs_its_table_alone_and_is_the_same_every_time(lost: float, tmp_path) -> None:
    made = make_posterior(lost=lost)
    table = compute(made)
    pd.testing.assert_frame_equal(table, compute(made))
    pd.testing.assert_frame_equal(sufficiency.verdict(table), sufficiency.verdict(through_csv(table)))
    first = png(sufficiency.plot(table), tmp_path / "a.png")
    assert first == png(sufficiency.plot(through_csv(table)), tmp_path / "b.png")
    assert first.startswith(b"\x89PNG")


def test_data_of_other_simulations_are_refused() -> None:
    made = make_posterior()
    with pytest.raises(ValueError, match="data 'x' are of 3 data sets, and the true values of 500"):
        compute({**made, "data": made["data"][:3]})


@pytest.mark.parametrize("hidden", ["spread", "correlation", "steps", "spread of a grid", "extremes of sets that vary"])
def test_a_posterior_is_the_prior_though_the_data_say_much_together(hidden: str) -> None:
    """What no single number says: each array's numbers lie anywhere, and what they are apart from each other counts."""
    rng, count = np.random.default_rng(1), 300
    truths, noise, place = rng.normal(size=(count, 1)), rng.normal(size=(count, 30, 2)), 20 * rng.normal(size=count)
    spread = np.exp(0.5 * truths)
    share = np.tanh(truths)
    there = np.arange(30) < rng.integers(10, 31, (count, 1))
    data = {
        "spread": {"x": place[:, None] + spread * noise[:, :, 0], "n": noise[:, 0, 1]},
        "correlation": {
            "x": place[:, None] + noise[:, :, 0],
            "y": share * noise[:, :, 0] + np.sqrt(1 - share**2) * noise[:, :, 1],
        },
        "steps": {"x": place[:, None] + np.cumsum(spread * noise[:, :, 0], axis=1)},
        "spread of a grid": {"x": place[:, None, None] + spread[:, None] * noise},
        "extremes of sets that vary": {"x": np.where(there, place[:, None] + spread * noise[:, :, 0], np.nan)},
    }[hidden]
    draws = rng.normal(size=(count, 100, 1))
    table = sufficiency.compute(draws, truths, ["theta"], data=data)
    assert sufficiency.verdict(table)["verdict"].tolist() == [verdicts.FAIL], table
    assert 0.4 < table["r2_regression"].iloc[0] < 1
