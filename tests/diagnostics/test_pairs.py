"""The pairs plot, from one parameter to twenty."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("time_of_bottleneck", ["time_of_bottleneck"]),
        ("dissociation_constant_of_the_complex", ["dissociation_", "constant_of_the_", "complex"]),
        ("round 12, member 3 of 5", ["round 12, member 3", "of 5"]),
        ("x" * 20, ["x" * 17, "xxx"]),
        ("", [""]),
    ],
)
def test_names_are_broken_behind_their_underscores(text: str, lines: list[str]) -> None:
    assert style.wrapped(text, 18).split("\n") == lines


def test_long_names_keep_apart_and_inside_of_the_figure() -> None:
    names = ["association_rate_constant_k_on", "dissociation_constant_of_the_complex", "c"]
    draws = np.random.default_rng(0).lognormal(size=(300, 3)) * [1e6, 1e-9, 1]
    figure = pairs.plot(pairs.compute(draws, draws, names))
    FigureCanvasAgg(figure).draw()
    axes = np.array(figure.axes).reshape(3, 3)
    below = [axis.xaxis.label.get_window_extent() for axis in axes[-1]]
    beside = [axis.yaxis.label.get_window_extent() for axis in axes[:, 0]]
    powers = [axis.xaxis.get_offset_text().get_window_extent() for axis in axes[-1]]
    assert not any(one.overlaps(other) for one, other in itertools.combinations([*below, *powers[:2]], 2))
    assert not any(one.overlaps(other) for one, other in itertools.combinations(beside[1:], 2))
    for label in [*below, *beside[1:]]:
        assert figure.bbox.x0 <= label.x0 and label.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= label.y0 and label.y1 <= figure.bbox.y1
