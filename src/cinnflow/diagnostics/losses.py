"""Training losses: did each fit converge, and does it hold on data that it was not trained on?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cinnflow.diagnostics import style, verdicts

TITLE = "Losses"
CAPTION = (
    "Mean negative log posterior density of the true parameters, in nats, at each epoch: low is good. Thin lines are"
    " single epochs, thick ones moving averages; training data in orange, with the weights as training changes them; "
    "data held out for validation in blue, with a mean of the weights over the last epochs. The dot marks the epoch "
    "whose mean is kept. Blue well above orange means that the network learns its training data by heart; a blue line "
    "that still falls at the end asks for more epochs."
)
ADVICE = (
    "Broken down: a smaller `training.learning_rate`, and a look for simulations with extreme values, such as those of "
    "a solver that diverged. Still falling: more `training.epochs`, or a larger `patience`. Validation far above "
    "training: more simulations, or fewer `units`."
)

_BROKEN_DOWN = "broke down"
"""What a fit's ending says where its loss rose beyond bounds, or was no longer finite."""

_STILL_FALLING = 0.05
"""Nats that the validation loss may gain over the last tenth of the epochs before a fit counts as unfinished."""


def compute(
    histories: Mapping[str, pd.DataFrame], endings: Mapping[str, str] | None = None, *, moving_average: int = 10
) -> pd.DataFrame:
    """Losses of every fit with their moving averages.

    Args:
        histories: a name for each fit, and its history: epoch, loss, validation_loss (nats), learning_rate, seconds.
        endings: when and why each training ended, as it says itself, where that is known.
        moving_average: epochs that are averaged at most; of a short history a fifth, and three at least.

    Returns:
        The rows of all histories, with fit, ended, smooth_loss and smooth_validation_loss added.

    Raises:
        ValueError: when a history lacks a column or has no rows.
    """
    tables = []
    for fit, history in histories.items():
        missing = {"epoch", "loss", "validation_loss"} - set(history.columns)
        if missing or history.empty:
            raise ValueError(
                f"the history of {fit!r} needs rows with epoch, loss and validation_loss:"
                f" got {len(history)} rows with {', '.join(history.columns)}"
            )
        table = history.copy()
        table.insert(0, "fit", fit)
        table["ended"] = (endings or {}).get(fit, "")
        window = min(moving_average, max(3, len(table) // 5))
        for column in ("loss", "validation_loss"):
            table[f"smooth_{column}"] = table[column].rolling(window, min_periods=1, center=True).mean()
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Training and validation loss against the epoch, a panel for each fit."""
    groups = list(table.groupby("fit", sort=False))
    figure, panels = style.grid(len(groups), width=4.2 if len(groups) < 4 else 2.8, height=2.9)
    for (fit, rows), axis in zip(groups, panels[0], strict=True):
        for column, colour, label in (
            ("loss", style.ORANGE, "training"),
            ("validation_loss", style.BLUE, "validation"),
        ):
            if rows[column].isna().all():  # without validation
                continue
            marker = "." if len(rows) == 1 else None  # no line has a single point
            axis.plot(rows["epoch"], rows[column], color=colour, lw=0.7, alpha=0.45)
            axis.plot(rows["epoch"], rows[f"smooth_{column}"], color=colour, lw=1.8, marker=marker, label=label)
        if rows["validation_loss"].notna().any():
            best = rows.loc[rows["validation_loss"].idxmin()]
            axis.plot(best["epoch"], best["validation_loss"], "o", color=style.BLUE, ms=5, label="kept")
        axis.set_ylim(_limits(rows))
        style.title(axis, fit)
        if _broken_down(rows):
            style.note(axis, "broke down", style.RED, top=False)
        if axis.lines:
            axis.legend(fontsize=style.TICK_SIZE, frameon=False, loc="upper right")
    style.label_outer(panels[0], "epoch", "loss (nats)")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Judges each fit, in the column `parameter`: one that broke down fails, one that still falls is unfinished.

    Where an earlier round broke down or still fell, a later one went on with more simulations: that is no fault of the
    study.
    """
    latest = _round(str(table["fit"].iloc[-1]))
    judged = []
    for fit, rows in table.groupby("fit", sort=False):
        losses = rows["validation_loss"].to_numpy(float)
        if not np.isfinite(losses).any():
            judged.append((fit, np.nan, np.nan, verdicts.FAIL, "no epoch has a finite validation loss"))
            continue
        best = float(np.nanmin(losses))
        tail = max(1, len(losses) // 10)
        gain = float(np.nanmin(losses[:-tail]) - best) if len(losses) > tail else np.inf
        epoch = int(rows["epoch"].iloc[int(np.nanargmin(losses))])
        if _broken_down(rows):
            word, reason = verdicts.FAIL, f"training ended {rows['ended'].iloc[0]}"
        elif gain > _STILL_FALLING:
            word = verdicts.UNFINISHED
            reason = f"the validation loss still falls at the last of {len(losses)} epochs"
        else:
            word, reason = verdicts.PASS, f"best validation loss at epoch {epoch} of {len(losses)}"
        judged.append((fit, best, np.nan, word if _round(str(fit)) == latest else verdicts.PASS, reason))
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _broken_down(rows: pd.DataFrame) -> bool:
    """Whether a fit's training broke down, as far as it is known why it ended."""
    return _BROKEN_DOWN in str(rows["ended"].iloc[0])


def _round(fit: str) -> str:
    """`round 1` of `round 1, member 0`; nothing where there are no rounds."""
    return fit.rpartition(", member")[0]


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits that show the end of training well: what the first epochs were is of little interest."""
    losses = rows[["loss", "validation_loss"]].replace([np.inf, -np.inf], np.nan).dropna(how="all")
    if losses.empty:
        return 0.0, 1.0
    low, high = losses.min().min(), losses.quantile(0.9).max()
    room = 0.15 * max(high - low, 1e-3 * max(1.0, abs(high)))
    return low - room, high + 2 * room
