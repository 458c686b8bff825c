"""What the narrowest directions see of the dependence between parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import directions, sbc, verdicts


def ridge(parameters: int, fault: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Parameters of which data tell the sum, to 0.05 of its prior: draws of the exact posterior, or of a wrong one."""
    rng = np.random.default_rng(seed)
    known = 0.05 * np.sqrt(parameters)
    truths = rng.normal(size=(512, parameters))
    total = truths.sum(axis=1, keepdims=True)
    seen = total + known * rng.normal(size=total.shape)
    shrinkage = parameters / (parameters + known**2)
    sd = known * np.sqrt(shrinkage) * {"too wide": 3.0, "too narrow": 0.4}.get(fault, 1.0)
    draws = rng.normal(size=(512, 200, parameters))
    sums = shrinkage * seen[:, None] + sd * rng.normal(size=(512, 200, 1))
    draws += (sums - draws.sum(axis=2, keepdims=True)) / parameters
    if fault == "independent":  # each parameter keeps its own distribution
        draws = np.stack([rng.permuted(column, axis=1) for column in np.moveaxis(draws, 2, 0)], axis=2)
    return draws, truths, [f"p{index}" for index in range(parameters)]


@pytest.mark.parametrize("parameters", [3, 12])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("", ""),
        ("too wide", "too wide along a combination of"),
        ("too narrow", "too narrow along a combination of"),
        ("independent", "too wide along a combination of"),
    ],
)
def test_a_wrong_dependence_is_seen_where_each_parameter_is_right(parameters: int, fault: str, says: str) -> None:
    case = ridge(parameters, fault, seed=3)
    judged = directions.verdict(directions.compute(*case))
    assert judged["verdict"].item() == (verdicts.FAIL if fault else verdicts.PASS)
    assert judged["p_value"].item() < (1e-6 if fault else 1.1)
    assert says in judged["reason"].item()
    assert verdicts.FAIL not in set(sbc.verdict(sbc.compute(*case))["verdict"])


def test_right_posteriors_fail_as_often_as_it_says() -> None:
    failed = [directions.verdict(directions.compute(*ridge(4, "", seed)))["verdict"].item() for seed in range(80)]
    assert failed.count(verdicts.FAIL) <= 9


def test_the_units_of_parameters_do_not_matter() -> None:
    draws, truths, names = ridge(3, "too wide")
    units = np.array([1.0, 1e6, 1e-9])
    one, other = directions.compute(draws, truths, names), directions.compute(draws * units, truths * units, names)
    pd.testing.assert_frame_equal(one, other)


def test_a_constant_parameter_has_no_direction() -> None:
    draws, truths, names = ridge(3, "too wide")
    constant = [np.concatenate([values, np.full((*values.shape[:-1], 1), 0.1)], axis=-1) for values in (draws, truths)]
    table = directions.compute(*constant, [*names, "c"])
    assert not table["mostly"].str.contains("c").any()
    assert directions.verdict(table)["verdict"].item() == verdicts.FAIL


def test_a_quantity_that_is_made_of_others_has_no_direction_of_its_own() -> None:
    for fault, word in (("", verdicts.PASS), ("too wide", verdicts.FAIL)):
        draws, truths, names = ridge(3, fault, seed=3)
        draws, truths = (np.concatenate([v, v[..., :1] - 3 * v[..., 1:2]], axis=-1) for v in (draws, truths))
        draws = draws.astype(np.float32).astype(float)
        assert directions.verdict(directions.compute(draws, truths, [*names, "d"]))["verdict"].item() == word
