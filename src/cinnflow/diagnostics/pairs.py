"""The posterior of one observation: every parameter beside its prior, and every pair of parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style
from cinnflow.diagnostics.density import density_of

TITLE = "Posterior"
CAPTION = (
    "Diagonal: posterior (blue) and prior (grey) of each parameter, on the range that the posterior covers; the "
    "heading gives the median and the central 90 % interval. Below it: posterior draws of each pair, with contours "
    "around 50 % and 90 % of them. Above it: their rank correlation, in a colour that is stronger where it is. True "
    "values, where known, are orange."
)

MAX_PAIRED = 8
"""With more parameters than this, only the diagonal is drawn: pairs would be too small to read."""

_LINE = 18
"""Characters of a name in one line beside a panel."""
_POWER_OF_TEN = 13
"""Points below a panel's numbers that a power of ten takes there."""
_SHOWN, _GRID, _CONTOURS = 1000, 80, (0.9, 0.5)


def compute(
    posterior: np.ndarray, prior: np.ndarray, names: Sequence[str], truth: np.ndarray | None = None
) -> pd.DataFrame:
    """All draws in one table.

    Args:
        posterior: posterior draws (draws, parameters).
        prior: prior draws (prior draws, parameters).
        names: the parameters' names.
        truth: the true values (parameters,), where they are known.

    Returns:
        One row a draw: source ("posterior", "prior" or "truth"), then a column for each parameter.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    sources = {"posterior": posterior, "prior": prior}
    if truth is not None:
        sources["truth"] = np.reshape(truth, (1, -1))
    tables = []
    for source, values in sources.items():
        if values.ndim != 2 or values.shape[1] != len(names):
            raise ValueError(f"{source} takes the shape (draws, {len(names)}), got {values.shape}")
        table = pd.DataFrame(values, columns=list(names))
        table.insert(0, "source", source, allow_duplicates=True)
        tables.append(table[np.isfinite(values).all(axis=1)])
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Marginals and pairs; marginals alone where there are more than MAX_PAIRED parameters."""
    source, values = table.iloc[:, 0].to_numpy(), table.iloc[:, 1:]
    names = list(values.columns)
    posterior, prior, truth = (values[source == kind].to_numpy(float) for kind in ("posterior", "prior", "truth"))
    if len(names) > MAX_PAIRED or len(names) == 1:
        figure, panels = style.grid(len(names), height=2.2, width=2.5 if len(names) > 1 else 4)
        diagonal = list(panels[0])
    else:
        figure, axes = _square(len(names))
        diagonal = list(np.diag(axes))
        _draw_pairs(axes, names, posterior, truth)
    for index, axis in enumerate(diagonal):
        _draw_marginal(axis, names[index], posterior[:, index], prior[:, index], truth[:, index])
    return figure


def _square(count: int) -> tuple[Figure, np.ndarray]:
    side = 2.1 if count < 6 else 1.7
    figure = Figure(figsize=(count * side + 0.5, count * side + 0.3), layout="constrained")
    axes = figure.subplots(count, count, squeeze=False)
    for axis in axes.flat:
        style.dress(axis)
    return figure, axes


def _draw_marginal(axis: Axes, name: str, posterior: np.ndarray, prior: np.ndarray, truth: np.ndarray) -> None:
    low, high = _limits(posterior)
    bins = np.linspace(low, high, 1 + int(np.clip(np.sqrt(len(posterior)), 12, 40)))
    for values, colour, opacity in ((prior, style.GREY, 0.35), (posterior, style.BLUE, 0.75)):
        # Heights are densities of all draws, also of those that lie outside the range shown.
        heights = np.histogram(values, bins)[0] / (len(values) * np.diff(bins))
        axis.stairs(heights, bins, fill=True, color=colour, alpha=opacity, lw=0)
    for value in truth:
        axis.axvline(value, color=style.ORANGE, lw=1.6)
    style.few_ticks(axis, 3)
    axis.set(xlim=(low, high), yticks=[])
    axis.spines["left"].set_visible(False)
    median, lower, upper = np.quantile(posterior, [0.5, 0.05, 0.95])
    style.title(axis, name, _LINE)
    axis.set_title(f"{axis.get_title('left')}\n", fontsize=style.TITLE_SIZE, loc="left", fontweight="bold")
    axis.text(0, 1.02, f"{median:.3g}  [{lower:.3g}, {upper:.3g}]", transform=axis.transAxes, fontsize=style.TICK_SIZE)


def _draw_pairs(axes: np.ndarray, names: Sequence[str], posterior: np.ndarray, truth: np.ndarray) -> None:
    correlation = _rank_correlation(posterior)
    for row, column in np.ndindex(axes.shape):
        axis = axes[row, column]
        if row > column:
            _draw_cloud(axis, posterior[:, column], posterior[:, row])
            for value in truth:
                axis.plot(value[column], value[row], "P", color=style.ORANGE, ms=8, mec="white")
            axis.set(xlim=_limits(posterior[:, column]), ylim=_limits(posterior[:, row]))
            style.few_ticks(axis, 3)
        elif row < column:
            r = correlation[row, column]
            axis.set_axis_off()
            axis.text(0.5, 0.5, f"{r:+.2f}", transform=axis.transAxes, ha="center", va="center",
                      fontsize=11, color=style.BLUE, alpha=0.35 + 0.65 * min(1.0, abs(r)))  # fmt: skip
        if row == len(names) - 1:
            axis.set_xlabel(style.wrapped(names[column], _LINE), fontsize=style.LABEL_SIZE, labelpad=_POWER_OF_TEN)
        elif row > column:
            axis.set_xticklabels([])
        if column == 0 and row > 0:
            axis.set_ylabel(style.wrapped(names[row], _LINE), fontsize=style.LABEL_SIZE)
        elif row > column:
            axis.set_yticklabels([])


def _rank_correlation(values: np.ndarray) -> np.ndarray:
    """Rank correlation of each pair of columns; 0 with a constant one."""
    ranks = stats.rankdata(values, axis=0)
    centred = ranks - ranks.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    return unit.T @ unit


def _draw_cloud(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    axis.scatter(x[:_SHOWN], y[:_SHOWN], s=3, color=style.BLUE, alpha=0.25, lw=0)
    x, y = x[:_SHOWN], y[:_SHOWN]
    density = density_of(x, y)
    if density is None:
        return
    # Where no draw lies, such as beyond the prior's bounds, there is no contour either.
    grid = np.meshgrid(*(np.linspace(values.min(), values.max(), _GRID) for values in (x, y)))
    levels = np.quantile(density(x, y), [1 - share for share in _CONTOURS])
    if levels[0] < levels[1]:
        axis.contour(*grid, density(*grid), levels=levels, colors=style.INK, linewidths=(0.8, 1.3))


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The range that nearly all draws cover, and some room beside it."""
    low, high = np.quantile(values, [0.002, 0.998])
    room = 0.25 * (high - low) or 0.5 * max(abs(high), 1.0)
    return low - room, high + room
