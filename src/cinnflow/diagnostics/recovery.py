"""Recovery: does the posterior median follow the true value?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, verdicts
from cinnflow.diagnostics.calibration import judged_by, ranked

TITLE = "Recovery of the true values"
CAPTION = (
    "Posterior median (dot) ± median absolute deviation (line) against the true value of each held-out simulation; "
    "on the dashed line, the two agree. R² is the share of the true values' variance that the medians predict, r "
    "their correlation, NRMSE the root mean square error of the medians over the range of the true values. A flat "
    "cloud means that the data say little of this parameter, or that the network does not see what they say: Use of "
    "the data tells the two apart, as far as a regression can. The verdict fails where true values lie above the "
    "median more, or less, often than half of the time."
)
ADVICE = (
    "Medians are off on one side: more simulations or epochs; where that does not help, a summary network that suits "
    "the data (`time_series` for series, `deep_set` or `set_transformer` for sets)."
)

_SHOWN = 500


def compute(draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Median and spread of each posterior beside the true value.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of what breaks ties with the true value, as counts and indicators have.

    Returns:
        One row a parameter and data set: truth, median, mad (both in the parameter's unit); r2, r, nrmse, p_value,
        skill, informative, data_sets and left_out are the parameter's.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    tables = []
    for marginal, ranks in ranked(draws, truths, names, seed):
        truth, median = marginal.truths, np.median(marginal.draws, axis=1)
        mad = np.median(np.abs(marginal.draws - median[:, None]), axis=1)
        error = median - truth
        spread = np.sum((truth - truth.mean()) ** 2)
        tables.append(
            pd.DataFrame(
                {
                    "parameter": marginal.name,
                    "data_set": marginal.data_sets,
                    "truth": truth,
                    "median": median,
                    "mad": mad,
                    "r2": 1 - np.sum(error**2) / spread if spread > 0 else np.nan,
                    "r": np.corrcoef(truth, median)[0, 1] if spread > 0 and np.ptp(median) > 0 else np.nan,
                    "nrmse": np.sqrt(np.mean(error**2)) / np.ptp(truth) if spread > 0 else np.nan,
                    **judged_by(marginal, _sign_test(ranks)),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Posterior median ± MAD against the true value, a panel for each parameter."""
    groups = list(table.groupby("parameter", sort=False))
    figure, panels = style.grid(len(groups), height=2.6)
    for (name, rows), axis in zip(groups, panels[0], strict=True):
        shown = rows.iloc[:_SHOWN]
        axis.errorbar(
            shown["truth"], shown["median"], shown["mad"],
            fmt="o", ms=2.2, color=style.BLUE, ecolor=style.BLUE, elinewidth=0.6, alpha=0.35, mew=0,
        )  # fmt: skip
        ends = [shown["truth"].min(), shown["truth"].max()]
        axis.plot(ends, ends, color=style.INK, lw=1, ls=(0, (4, 3)))
        first = rows.iloc[0]
        style.title(axis, name)
        style.note(axis, f"R² = {first['r2']:.2f}\nr = {first['r']:.2f}\nNRMSE = {first['nrmse']:.2f}")
        style.few_ticks(axis)
    style.label_outer(panels[0], "true value", "posterior median")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a parameter whose medians lie on one side of the true values too often; its value is R²."""
    return verdicts.calibration_verdict(table, "r2", "medians are biased")


def _sign_test(ranks: np.ndarray) -> float:
    """P-value of as many true values in the upper half of their draws as there are; a right posterior is even."""
    return float(stats.binomtest(int(np.sum(ranks > 0.5)), len(ranks)).pvalue)
