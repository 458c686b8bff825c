"""What all figures share: colours that colour-blind readers can tell apart, sizes, grids of panels, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C"
"""Okabe and Ito's palette, with a grey."""

MEMBERS = (BLUE, ORANGE, GREEN, RED, GREY)
"""Colours of the members of an ensemble, or of the reasons of failures, in order."""

INK, BAND = "#222222", "#D9DDE3"

TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 10.0, 9.0, 8.0
MAX_COLUMNS = 5
RESOLUTION = 200
"""Dots per inch of a PNG."""


def grid(count: int, width: float = 2.5, height: float = 2.3, blocks: int = 1) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of panels, wide enough to read from one panel to dozens.

    Args:
        count: how many items there are to show.
        width: inches of a panel.
        height: inches of a panel.
        blocks: panels for each item, stacked one above the other.

    Returns:
        The figure, and its panels (blocks, count); cells that no item needs are taken out.
    """
    across = columns(count)
    down = -(-count // across)
    figure = Figure(figsize=(max(across * width, 3.4) + 0.4, down * blocks * height + 0.3), layout="constrained")
    axes = figure.subplots(down * blocks, across, squeeze=False)
    panels = np.empty((blocks, count), dtype=object)
    for cell in range(down * across):
        row, column = divmod(cell, across)
        for block in range(blocks):
            axis = axes[row * blocks + block, column]
            if cell < count:
                panels[block, cell] = dress(axis)
            else:
                axis.remove()
    return figure, panels


def columns(count: int) -> int:
    """Columns that leave the last row as full as can be: 4 panels in a row, 6 as 3 + 3, 20 as 4 × 5."""
    if count <= MAX_COLUMNS:
        return count
    return min(range(3, MAX_COLUMNS + 1), key=lambda across: (-count % across, -across))


def rows(labels: Sequence[str], width: float = 6.4) -> tuple[Figure, Axes]:
    """A figure with one labelled row for each item, the first on top."""
    figure = Figure(figsize=(width, 0.26 * len(labels) + 1.1), layout="constrained")
    axis = dress(figure.subplots())
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.grid(axis="y", color=BAND, lw=0.6)
    axis.set_axisbelow(True)
    return figure, axis


def dress(axis: Axes) -> Axes:
    """Gives a panel the common look: no box, quiet ticks."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=TICK_SIZE, colors=INK)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(GREY)
    axis.xaxis.label.set_size(LABEL_SIZE)
    axis.yaxis.label.set_size(LABEL_SIZE)
    return axis


def title(axis: Axes, text: str, width: int = 26) -> None:
    """Heads a panel with a name, broken where it is longer than `width` characters."""
    axis.set_title(wrapped(text, width), fontsize=TITLE_SIZE, loc="left", color=INK, fontweight="bold")


def wrapped(text: str, width: int) -> str:
    """A text in lines of `width` characters at most, broken behind spaces and underscores as long as there are any."""
    lines = [""]
    for piece in re.findall(rf"[^ _]{{1,{width - 1}}}[ _]?|[ _]", text):
        if len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def label_outer(panels: Sequence[Axes], x: str, y: str) -> None:
    """Labels the panels of one block: x below the lowest of each column, y beside the first of each row."""
    across = columns(len(panels))
    for index, axis in enumerate(panels):
        if index + across >= len(panels):
            axis.set_xlabel(x, fontsize=LABEL_SIZE)
        if index % across == 0:
            axis.set_ylabel(y, fontsize=LABEL_SIZE)


def note(axis: Axes, text: str, colour: str = INK, top: bool = True) -> None:
    """Writes a few words into a panel's upper, or lower, left corner."""
    axis.text(
        0.03, 0.97 if top else 0.03, text, transform=axis.transAxes, va="top" if top else "bottom",
        fontsize=TICK_SIZE, color=colour, bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5},
    )  # fmt: skip


def legend(figure: Figure, panels: Iterable[Axes], **options: Any) -> None:
    """One legend above all panels, each label once."""
    handles = {
        label: handle for axis in panels for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles), fontsize=TICK_SIZE,
        frameon=False, columnspacing=1.0, handlelength=1.4, **options,
    )  # fmt: skip


def difference_band(axis: Axes, x: np.ndarray, share: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
    """Draws how far a share lies from the x that it should equal, over the band of what a right one does."""
    position = np.concatenate([[0], x, [1]])
    low, high, line = (np.concatenate([[0], values - x, [0]]) for values in (lower, upper, share))
    axis.fill_between(position, low, high, color=BAND, lw=0)
    axis.axhline(0, color=GREY, lw=0.8)
    axis.plot(position, line, color=BLUE, lw=1.4)
    largest = 1.15 * max(np.abs(line).max(), np.abs(low).max(), np.abs(high).max())
    axis.set(xlim=(0, 1), ylim=(-largest, largest), xticks=[0, 0.5, 1])


def few_ticks(axis: Axes, count: int = 4) -> None:
    """Keeps tick labels apart, with large or small numbers in a common power of ten."""
    for side in (axis.xaxis, axis.yaxis):
        if isinstance(side.get_major_formatter(), ScalarFormatter):
            side.set_major_locator(MaxNLocator(count))
            side.get_major_formatter().set_powerlimits((-3, 4))
            side.get_offset_text().set_size(TICK_SIZE)


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG; the same figure always gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=RESOLUTION, metadata={"Software": None}, facecolor="white")
