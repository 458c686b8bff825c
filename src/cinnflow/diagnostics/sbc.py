"""Simulation-based calibration: are the true values' ranks among the posterior draws uniform?

Reference:
    Talts, Betancourt, Simpson, Vehtari and Gelman, Validating Bayesian inference algorithms with simulation-based
    calibration, 2018, arXiv:1804.06788; Säilynoja, Bürkner and Vehtari, 2022, arXiv:2103.10522.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, uniformity, verdicts
from cinnflow.diagnostics.calibration import judged_by, ranked

TITLE = "Simulation-based calibration"
CAPTION = (
    "For each held-out simulation, the rank of the true value among its posterior draws; a right posterior makes all"
    " ranks equally frequent. Top: a histogram of the ranks, where 99 % of the bars of a right posterior end in the "
    "dashed band. Bottom: how far the cumulative distribution of the ranks is above or below that of uniform ranks. "
    "The curves of a right posterior stay inside the grey band everywhere and in all panels at once with 95 % "
    "probability. A ∪-shaped histogram means a posterior that is too narrow, a ∩ shape one that is too wide, a slope"
    " one that is biased: low where the bars rise, high where they fall."
)
ADVICE = (
    "More simulations help first (`per_round`, `rounds`), then an ensemble (`training.ensemble`), then `coupling: "
    "spline` for posteriors that are skewed, cut off or have several modes. Where the losses still fall, more epochs."
)

_HISTOGRAM, _ECDF = "histogram", "ecdf"
_BAR_BAND = 0.99
_RANKS_PER_BAR = 25


def compute(
    draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, bins: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """Histogram and ECDF difference of each parameter's ranks.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        bins: bars of the histogram; by default, a number that divides the draws + 1 possible ranks.
        seed: seed of what breaks ties between ranks.

    Returns:
        One row a bar (view "histogram": x is its middle, value its count) and one row an evaluation point (view
        "ecdf": x is a fractional rank, value the share of ranks up to it), with the lower and upper limit of the band;
        p_value, skill, informative, data_sets and left_out are the parameter's.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    tables = []
    for marginal, ranks in ranked(draws, truths, names, seed):
        count = len(ranks)
        bars = bins or default_bins(count, draws.shape[1])
        edges = np.linspace(0, 1, bars + 1)
        points = uniformity.evaluation_points(count)
        lower, upper = uniformity.band(count, verdicts.threshold(len(names)))
        table = pd.concat(
            [
                _view(_HISTOGRAM, (edges[1:] + edges[:-1]) / 2, np.histogram(ranks, edges)[0], *_bar_band(count, bars)),
                _view(_ECDF, points, uniformity.ecdf(ranks), lower, upper),
            ]
        )
        table.insert(0, "parameter", marginal.name)
        tables.append(table.assign(**judged_by(marginal, uniformity.p_value(ranks))))
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Histogram and ECDF difference, one above the other, for each parameter."""
    groups = list(table.groupby("parameter", sort=False))
    figure, panels = style.grid(len(groups), blocks=2, height=1.9)
    for (name, rows), histogram, difference in zip(groups, *panels, strict=True):
        _draw_histogram(histogram, rows[rows["view"] == _HISTOGRAM])
        curve = rows[rows["view"] == _ECDF]
        style.difference_band(difference, *(curve[column] for column in ("x", "value", "lower", "upper")))
        style.title(histogram, name)
    style.label_outer(panels[0], "", "data sets")
    style.label_outer(panels[1], "fractional rank of the truth", "ECDF − uniform")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a parameter whose ECDF leaves the band; its value is the largest ECDF difference."""
    curves = table[table["view"] == _ECDF]
    differences = (curves["value"] - curves["x"]).abs().groupby(curves["parameter"], sort=False)
    table = table.assign(largest=table["parameter"].map(differences.max()))
    return verdicts.calibration_verdict(table, "largest", "ranks are not uniform")


def default_bins(data_sets: int, draws: int) -> int:
    """Bars that hold about 25 ranks each, as a divisor of the draws + 1 possible ranks where one is near."""
    wanted = float(np.clip(data_sets / _RANKS_PER_BAR, 4, 25))
    divisors = [bars for bars in range(2, 51) if (draws + 1) % bars == 0 and wanted / 2 <= bars <= wanted * 2]
    # Fractional ranks are uniform for every number of bars, so that any will do where no divisor is near.
    return min(divisors, key=lambda bars: abs(bars - wanted), default=round(wanted))


def _bar_band(count: int, bars: int) -> tuple[float, float]:
    return stats.binom.interval(_BAR_BAND, count, 1 / bars)


def _view(view: str, x: np.ndarray, value: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"view": view, "x": x, "value": value.astype(float), "lower": lower, "upper": upper})


def _draw_histogram(axis: Axes, rows: pd.DataFrame) -> None:
    low, high, middle = rows["lower"].iloc[0], rows["upper"].iloc[0], rows["data_sets"].iloc[0] / len(rows)
    axis.axhspan(low, high, color=style.BAND, lw=0)
    axis.axhline(middle, color=style.GREY, lw=0.8)
    for edge in (low, high):
        axis.axhline(edge, color=style.INK, lw=0.8, ls=(0, (2, 2)), zorder=3)
    axis.bar(rows["x"], rows["value"], width=0.92 / len(rows), color=style.BLUE, alpha=0.85)
    axis.set(xlim=(0, 1), ylim=(0, 1.15 * max(rows["value"].max(), high)), xticks=[0, 0.5, 1])
