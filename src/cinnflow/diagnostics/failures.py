"""Failed simulations: how many, why, and where in parameter space they lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, verdicts

TITLE = "Where simulations fail"
CAPTION = (
    "Share of the simulations that failed, by the value of each parameter, in bins that hold equally many, drawn "
    "equally wide; colours tell the reason. Failures are left out of training, so the posterior holds for parameters"
    " whose simulation succeeds. Where the share depends on a parameter, the prior is cut there."
)
ADVICE = (
    "The posterior holds among parameters whose simulation succeeds. Mend the simulator where it fails for no reason "
    "of the science, or give the prior bounds that leave those parameters out; `cinnflow status` counts the reasons, "
    "and `cinnflow retry` runs failures of some again."
)

OK = "ok"
_BINS, _PER_BIN = 12, 20
_COLOURS = (style.RED, style.ORANGE, style.BLUE, style.GREEN)


def compute(theta: np.ndarray, status: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Failures by reason in bins of each parameter.

    Args:
        theta: parameters of all simulations, failed ones included (simulations, parameters).
        status: how each ended, in words: "ok" or the reason of its failure (simulations,).
        names: the parameters' names.

    Returns:
        One row a parameter, bin and reason: left, right (the bin's edges), reason, simulations, failed. A study
        without failures has the reason "ok" alone, with no failed ones.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    status = np.asarray(status, dtype=str)
    if theta.ndim != 2 or theta.shape != (len(status), len(names)) or not len(status):
        raise ValueError(
            f"theta takes the shape (simulations, parameters), with a status for each and {len(names)} names:"
            f" got {theta.shape} and {len(status)} statuses"
        )
    reasons = sorted(set(status) - {OK}) or [OK]
    bins = int(np.clip(len(theta) // _PER_BIN, 1, _BINS))
    rows = []
    for index, name in enumerate(names):
        known = np.isfinite(theta[:, index])  # in simulations made elsewhere, a parameter itself may be missing
        values, ended = theta[known, index], status[known]
        edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, max(len(edges) - 2, 0))
        for position, (left, right) in enumerate(zip(edges, edges[1:] if len(edges) > 1 else edges, strict=False)):
            here = ended[place == position]
            for reason in reasons:
                failed = int(np.sum(here == reason)) if reason != OK else 0
                rows.append((name, left, right, reason, len(here), failed))
    return pd.DataFrame(rows, columns=["parameter", "left", "right", "reason", "simulations", "failed"])


def plot(table: pd.DataFrame) -> Figure:
    """Share of failed simulations against each parameter, stacked by reason."""
    groups = list(table.groupby("parameter", sort=False))
    reasons = [reason for reason in table["reason"].unique() if reason != OK]
    if not reasons:
        figure = Figure(figsize=(3.4, 0.5))
        figure.text(0.02, 0.5, "No simulation failed.", fontsize=style.TITLE_SIZE, va="center", color=style.INK)
        return figure
    figure, panels = style.grid(len(groups), height=2.1)
    for (name, rows), axis in zip(groups, panels[0], strict=True):
        base = 0.0
        for reason, colour in zip(reasons, _COLOURS, strict=False):
            here = rows[rows["reason"] == reason]
            share = 100 * here["failed"].to_numpy() / np.maximum(here["simulations"].to_numpy(), 1)
            axis.stairs(base + share, np.arange(len(here) + 1), baseline=base, fill=True, color=colour, label=reason)
            base = base + share
        axis.set_ylim(0, max(1.0, 1.1 * float(np.max(base))))
        style.few_ticks(axis)
        _label_bins(axis, rows[rows["reason"] == rows["reason"].iloc[0]])
        style.title(axis, name)
    style.label_outer(panels[0], "", "failed (%)")
    style.legend(figure, panels[0])
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Says for which parameters failures are uneven; the value is the share of failed simulations."""
    judged = []
    limit = verdicts.threshold(table["parameter"].nunique())
    for name, rows in table.groupby("parameter", sort=False):
        bins = rows.groupby("left").agg(simulations=("simulations", "first"), failed=("failed", "sum"))
        total, failed = int(bins["simulations"].sum()), int(bins["failed"].sum())
        if failed == 0:
            judged.append((name, 0.0, np.nan, verdicts.PASS, f"none of {total} simulations failed"))
            continue
        p_value = _homogeneity(bins["failed"].to_numpy(), bins["simulations"].to_numpy())
        word, what = (verdicts.UNEVEN, "depend") if p_value <= limit else (verdicts.PASS, "do not visibly depend")
        judged.append(
            (name, failed / total, np.nan, word, f"{failed} failures of {total} {what} on it (p = {p_value:.1g})")
        )
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _label_bins(axis: Axes, bins: pd.DataFrame) -> None:
    """Writes the parameter's value at the first, middle and last edge of bins drawn equally wide."""
    edges = np.append(bins["left"], bins["right"].iloc[-1])
    shown = sorted({0, len(bins) // 2, len(bins)})
    axis.set_xticks(shown, [f"{edges[edge]:.3g}" for edge in shown])
    axis.set_xlim(0, len(bins))


def _homogeneity(failed: np.ndarray, simulations: np.ndarray) -> float:
    """P-value of failures as uneven as these when they are spread at random."""
    table = np.stack([failed, simulations - failed])
    if len(failed) < 2 or np.any(table.sum(axis=1) == 0):
        return 1.0
    return float(stats.chi2_contingency(table).pvalue)
