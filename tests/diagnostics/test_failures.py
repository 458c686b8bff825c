"""Failures are counted by reason and place, and an uneven place is told from chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import failures, style, verdicts

NAMES = ["a", "b"]


@pytest.fixture
def theta() -> np.ndarray:
    return np.random.default_rng(0).lognormal(size=(2000, 2))


def test_failures_that_depend_on_a_parameter_are_uneven_in_it_alone(theta, tmp_path) -> None:
    chance = np.random.default_rng(1).uniform(size=len(theta))
    status = np.where(chance < 0.01, "crashed", np.where((theta[:, 0] > 3) & (chance > 0.5), "timed out", "ok"))
    table = failures.compute(theta, status, NAMES)
    judged = failures.verdict(table).set_index("parameter")
    assert judged["verdict"].to_dict() == {"a": verdicts.UNEVEN, "b": verdicts.PASS}
    assert judged["value"].to_numpy() == pytest.approx(np.mean(status != "ok"))
    by_reason = table[table["parameter"] == "a"].groupby("reason")["failed"].sum()
    assert by_reason.to_dict() == {reason: int(np.sum(status == reason)) for reason in ("crashed", "timed out")}
    table.to_csv(tmp_path / "failures.csv", index=False)
    style.save(failures.plot(pd.read_csv(tmp_path / "failures.csv")), tmp_path / "failures.png")


def test_parameters_that_are_missing_leave_the_others_as_they_are(theta) -> None:
    status = np.where(np.arange(len(theta)) % 50 == 0, "not finite", "ok")
    whole = failures.compute(theta, status, NAMES)
    theta[::100, 1] = np.nan
    table = failures.compute(theta, status, NAMES)
    pd.testing.assert_frame_equal(table[table["parameter"] == "a"], whole[whole["parameter"] == "a"])
    assert table.groupby("parameter")[["simulations", "failed"]].sum().loc["b"].tolist() == [1980, 20]


def test_every_simulation_is_in_one_bin(theta) -> None:
    table = failures.compute(theta, ["ok"] * len(theta), NAMES)
    assert table.groupby("parameter")["simulations"].sum().to_dict() == {"a": 2000, "b": 2000}


def test_failures_spread_at_random_are_seldom_called_uneven() -> None:
    rng = np.random.default_rng(2)
    uneven = 0
    for _ in range(100):
        status = np.where(rng.uniform(size=2000) < 0.05, "crashed", "ok")
        table = failures.compute(rng.normal(size=(2000, 2)), status, NAMES)
        uneven += verdicts.UNEVEN in set(failures.verdict(table)["verdict"])
    assert uneven <= 11


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_none_or_all_failed(status: str, theta, tmp_path) -> None:
    table = failures.compute(theta, [status] * len(theta), NAMES)
    assert set(failures.verdict(table)["verdict"]) == {verdicts.PASS}
    style.save(failures.plot(table), tmp_path / "failures.png")


def test_a_parameter_with_few_values_is_drawn(tmp_path) -> None:
    theta = np.column_stack([np.ones(200), np.arange(200) % 2])
    table = failures.compute(theta, np.where(np.arange(200) % 9 == 0, "crashed", "ok"), NAMES)
    assert table.groupby("parameter")["simulations"].sum().to_dict() == {"a": 200, "b": 200}
    assert table["failed"].sum() == 2 * 23
    style.save(failures.plot(table), tmp_path / "failures.png")


def test_a_status_for_each_simulation_is_needed(theta) -> None:
    with pytest.raises(ValueError, match=r"got \(2000, 2\) and 3 statuses"):
        failures.compute(theta, ["ok"] * 3, NAMES)


def test_a_value_on_an_edge_belongs_to_the_bin_above() -> None:
    theta = np.repeat([0.0, 1.0, 2.0], 40)[:, None]
    table = failures.compute(theta, np.where(theta[:, 0] == 1, "crashed", "ok"), ["a"])
    assert table[["left", "right", "simulations", "failed"]].to_numpy().tolist() == [[0, 1, 40, 0], [1, 2, 80, 40]]
