"""Figures of simulated data beside an observation: a fan over each series, maps of each image."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from cinnflow.diagnostics import style

_MOST_PANELS = 20
_DOTS, _BARS = 80, 3
_MOST_SERIES = 8
"""Columns of an array that are drawn as a series each. What has more is an image."""


def plot(table: pd.DataFrame, colour: str) -> Figure:
    """Simulated data, with the observation over them or beside them.

    Args:
        table: one row a point: array, index (along the first axis), column (along the others), observed, x_label,
            column_label, y_label, and q05 ... q95 of the simulations.
        colour: of the fans.

    Returns:
        A panel for each series, of each array and each of its columns; three for an image.
    """
    items = [item for _, rows in table.groupby("array", sort=False) for item in _items(rows, colour)]
    shown = items[:_MOST_PANELS]
    alone = len(shown) == 1
    figure, panels = style.grid(len(shown), width=4.4 if alone else 2.9, height=3.3 if alone else 2.4)
    for (title, draw), axis in zip(shown, panels[0], strict=True):
        draw(axis)
        if title:
            style.title(axis, title)
    if len(items) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(items)} panels", fontsize=style.LABEL_SIZE, x=0.02, ha="left")
    style.legend(figure, panels[0])
    return figure


def sentence(text: str) -> Figure:
    """What stands in place of a figure that there is nothing to draw in."""
    figure = Figure(figsize=(5.4, 0.5))
    figure.text(0.02, 0.5, text, fontsize=style.TITLE_SIZE, va="center", color=style.INK)
    return figure


def _items(rows: pd.DataFrame, colour: str) -> list[tuple[str, Any]]:
    """What is drawn of an array: the title of each panel, and the function of an axis that fills it."""
    array, count = rows["array"].iloc[0], rows["column"].nunique()
    if count > _MOST_SERIES and rows["index"].nunique() > _BARS:
        low, high = (float(found) for found in (rows["q05"].min(), rows["q95"].max()))
        limits = {"vmin": np.nanmin([low, rows["observed"].min()]), "vmax": np.nanmax([high, rows["observed"].max()])}
        return [
            (f"{array}, observed", partial(_draw_map, rows=rows, values=rows["observed"], **limits)),
            (f"{array}, median", partial(_draw_map, rows=rows, values=rows["q50"], **limits)),
            (f"{array}, outside 90 %", partial(_draw_outside, rows=rows)),
        ]
    series = rows.groupby("column", sort=False)
    return [
        (f"{array} [{column}]" if count > 1 else "", partial(_draw_fan, rows=part, fan=colour))
        for column, part in series
    ]


def _draw_fan(axis: Axes, rows: pd.DataFrame, fan: str) -> None:
    """Quantiles of the simulations at each point of a series, and the observation over them."""
    x = rows["index"].to_numpy()
    axis.set_xlabel(rows["x_label"].iloc[0] if len(x) > 1 else "", fontsize=style.LABEL_SIZE)
    axis.set_ylabel(rows["y_label"].iloc[0], fontsize=style.LABEL_SIZE)
    if len(x) > _BARS:
        axis.fill_between(x, rows["q05"], rows["q95"], color=fan, alpha=0.18, lw=0, label="90 %")
        axis.fill_between(x, rows["q25"], rows["q75"], color=fan, alpha=0.32, lw=0, label="50 %")
        axis.plot(x, rows["q50"], color=fan, lw=1.4, label="median")
    else:
        axis.vlines(x, rows["q05"], rows["q95"], color=fan, alpha=0.3, lw=5, label="90 %")
        axis.vlines(x, rows["q25"], rows["q75"], color=fan, alpha=0.6, lw=9, label="50 %")
        axis.set_xlim(x.min() - 0.7, x.max() + 0.7)
    rows = rows.dropna(subset="observed")
    outside = ~rows["observed"].between(rows["q05"], rows["q95"]).to_numpy()
    size = 4.5 if len(x) <= _DOTS else 2.0
    for which, colour, label in ((~outside, style.INK, "observed"), (outside, style.RED, "outside 90 %")):
        if which.any():
            axis.plot(
                rows["index"][which],
                rows["observed"][which],
                "o",
                ms=size,
                color=colour,
                mec="white",
                mew=0.5,
                label=label,
            )
    style.few_ticks(axis)
    if len(x) <= _BARS:
        axis.set_xticks(x if len(x) > 1 else [])


def _draw_map(axis: Axes, rows: pd.DataFrame, values: pd.Series, vmin: float, vmax: float) -> None:
    """One number at each point of an image, the same colours for all maps of the array."""
    shown = axis.imshow(_image(rows, values), cmap="viridis", vmin=vmin, vmax=vmax, aspect="auto")
    bar = axis.figure.colorbar(shown, ax=axis, fraction=0.06, pad=0.03)
    bar.ax.tick_params(labelsize=style.TICK_SIZE)
    bar.set_label(rows["y_label"].iloc[0], fontsize=style.LABEL_SIZE)
    _name_axes(axis, rows)


def _draw_outside(axis: Axes, rows: pd.DataFrame) -> None:
    """Where the observation lies below, within and above the central 90 % of the simulations."""
    side = np.where(rows["observed"] > rows["q95"], 1.0, np.where(rows["observed"] < rows["q05"], -1.0, 0.0))
    side = pd.Series(np.where(rows["observed"].isna(), np.nan, side), rows.index)
    colours = ListedColormap([style.BLUE, style.BAND, style.RED])
    axis.imshow(_image(rows, side), cmap=colours, vmin=-1.5, vmax=1.5, aspect="auto")
    for colour, label in ((style.BLUE, "below 90 %"), (style.RED, "above 90 %")):
        axis.plot([], [], "s", color=colour, label=label)
    _name_axes(axis, rows)


def _image(rows: pd.DataFrame, values: pd.Series) -> np.ndarray:
    """Values at each index and column (indices, columns)."""
    return values.to_numpy().reshape(rows["index"].nunique(), -1)


def _name_axes(axis: Axes, rows: pd.DataFrame) -> None:
    axis.set_xlabel(rows["column_label"].iloc[0], fontsize=style.LABEL_SIZE)
    axis.set_ylabel(rows["x_label"].iloc[0], fontsize=style.LABEL_SIZE)
    style.few_ticks(axis)
