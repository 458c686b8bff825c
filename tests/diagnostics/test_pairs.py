"""The pairs plot, from one parameter to twenty."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import pairs, style


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
