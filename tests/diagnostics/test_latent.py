"""The latent space of a right posterior passes; holes and wrong widths do not."""

from __future__ import annotations

import numpy as np
import pytest

from cinnflow.diagnostics import latent, style, verdicts


def judged(values: np.ndarray) -> dict[str, str]:
    table = latent.verdict(latent.compute(values))
    return dict(zip(table["parameter"], table["verdict"], strict=True))


def test_a_standard_normal_passes() -> None:
    assert set(judged(np.random.default_rng(0).normal(size=(500, 4))).values()) == {verdicts.PASS}


def test_a_wrong_coordinate_is_named() -> None:
    values = np.random.default_rng(1).normal(size=(500, 3))
    values[:, 1] *= 1.4
    assert judged(values) | {verdicts.ALL_PARAMETERS: ""} == {
        "latent z1": "pass",
        "latent z2": "fail",
        "latent z3": "pass",
        "all parameters": "",
    }


def test_a_ring_is_seen_though_each_coordinate_is_nearly_normal() -> None:
    rng = np.random.default_rng(2)
    angle = rng.uniform(0, 2 * np.pi, size=1000)
    ring = 1.6 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.5 * rng.normal(size=(1000, 2))
    assert judged(ring)[verdicts.ALL_PARAMETERS] == verdicts.FAIL


def test_rows_that_are_not_finite_are_left_out_and_counted() -> None:
    values = np.random.default_rng(3).normal(size=(100, 2))
    values[5] = np.nan
    table = latent.compute(values)
    assert len(table) == 100
    assert "1 data sets left out" in latent.verdict(table)["reason"].iloc[0]


@pytest.mark.parametrize(("parameters", "panels"), [(1, 1), (2, 1), (4, 6), (12, 11)])
def test_panels(parameters: int, panels: int, tmp_path) -> None:
    figure = latent.plot(latent.compute(np.random.default_rng(4).normal(size=(50, parameters))))
    assert len(figure.axes) == panels
    style.save(figure, tmp_path / "latent.png")


@pytest.mark.parametrize("parameters", [1, 3])
def test_members_of_an_ensemble_are_shown_and_their_mixture_is_not_judged(parameters: int, tmp_path) -> None:
    table = latent.compute(3 * np.random.default_rng(5).normal(size=(80, parameters)), members=2)
    assert table.groupby("member")["data_set"].apply(list).tolist() == [list(range(40))] * 2
    assert latent.verdict(table).empty
    style.save(latent.plot(table), tmp_path / "latent.png")


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(5,\)"):
        latent.compute(np.zeros(5))
