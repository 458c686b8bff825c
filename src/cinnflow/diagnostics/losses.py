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
    "Still falling: more `training.epochs`, or a larger `patience`. Validation far above training: more simulations, "
    "or fewer `units`. Not finite: a smaller `learning_rate`."
)

_STILL_FALLING = 0.05
"""Nats that the validation loss may gain over the last tenth of the epochs before a fit counts as unfinished."""


def compute(histories: Mapping[str, pd.DataFrame], *, moving_average: int = 10) -> pd.DataFrame:
    """Losses of every fit with their moving averages.

    Args:
        histories: a name for each fit, and its history: epoch, loss, validation_loss (nats), learning_rate, seconds.
        moving_average: epochs that are averaged at most; of a short history a fifth, and three at least.

    Returns:
        The rows of all histories, with fit, smooth_loss and smooth_validation_loss added.

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
            axis.plot(rows["epoch"], rows[column], color=colour, lw=0.7, alpha=0.45)
            axis.plot(rows["epoch"], rows[f"smooth_{column}"], color=colour, lw=1.8, label=label)
        if rows["validation_loss"].notna().any():
            best = rows.loc[rows["validation_loss"].idxmin()]
            axis.plot(best["epoch"], best["validation_loss"], "o", color=style.BLUE, ms=5, label="kept")
        axis.set_ylim(_limits(rows))
        style.title(axis, fit)
        if axis.lines:
            axis.legend(fontsize=style.TICK_SIZE, frameon=False, loc="upper right")
    style.label_outer(panels[0], "epoch", "loss (nats)")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Judges each fit, in the column `parameter`: one that is not finite fails, one that still falls is unfinished.

    Where an earlier round still fell, a later one went on with more simulations: that is no fault of the study.
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
        if gain > _STILL_FALLING:
            reason = f"the validation loss still falls at the last of {len(losses)} epochs"
            word = verdicts.UNFINISHED if _round(str(fit)) == latest else verdicts.PASS
            judged.append((fit, best, np.nan, word, reason))
        else:
            judged.append((fit, best, np.nan, verdicts.PASS, f"best validation loss at epoch {epoch} of {len(losses)}"))
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _round(fit: str) -> str:
    """`round 1` of `round 1, member 0`; nothing where there are no rounds."""
    return fit.rpartition(", member")[0]


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits that show the end of training well: what the first epochs were is of little interest."""
    losses = rows[["loss", "validation_loss"]].replace([np.inf, -np.inf], np.nan).dropna(how="all")
    if losses.empty:
        return 0.0, 1.0
    low, high = losses.min().min(), losses.quantile(0.9).max()
    room = 0.15 * max(high - low, 1e-3)
    return low - room, high + 2 * room
