"""Use of the data: does the posterior predict the true values as well as a regression on the data does?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, verdicts
from cinnflow.diagnostics.marginals import finite_data_sets
from cinnflow.diagnostics.regression import entries_of, normal_scores, predictions, spread_out, statistics_of

TITLE = "Use of the data"
CAPTION = (
    "Share of the true values' variance over the held-out simulations that the posterior mean predicts (dot, red where"
    " the verdict fails), and that a ridge regression predicts for simulations that it was not fitted to (circle): on "
    "the raw data, or on the mean, the spread, the quantiles and the like of each array, whichever does better. "
    "Parameters and data are normal scores, so that units and heavy tails do not matter. Nothing predicts "
    "better in mean square than the mean of the right posterior: where a regression does, the network has lost what "
    "the data say, which calibration cannot see. The verdict fails where the regression's mean square error is lower "
    "by more than a tenth."
)
ADVICE = (
    "The network loses what the data say: `deep_set` and `set_transformer` take the numbers of an array for "
    "exchangeable. Where it matters which is which, `time_series` for a series, `none` for a vector of statistics, a "
    "class of the model file for an image; otherwise more epochs, or a larger summary network."
)

_MARGIN = 0.1
"""How much lower than the posterior's a regression's mean square error may be: no network is quite right."""

_FEWEST, _MOST_DATA_SETS = 20, 2000


def compute(
    draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, data: Mapping[str, np.ndarray], seed: int = 0
) -> pd.DataFrame:
    """Shares of variance that posterior means and linear regressions on the data predict.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        data: raw data of the same simulations, arrays by name, first axis the data sets; what is not finite counts as
            in the middle.
        seed: seed of how data sets are shared out between fitting the regression and judging it.

    Returns:
        One row a parameter: parameter, r2 (of the posterior mean) and r2_regression (of the better regression; both
        of normal scores), p_value, data_sets, left_out. With fewer than 20 data sets there is no regression, and its
        numbers are NaN.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    for name, array in data.items():
        if len(array) != len(truths):
            raise ValueError(f"data {name!r} are of {len(array)} data sets, and the true values of {len(truths)}")
    finite = np.flatnonzero(finite_data_sets(draws, truths, names))
    chosen = finite[spread_out(len(finite), _MOST_DATA_SETS)]
    left_out = len(truths) - len(finite)
    draws, truths = draws[chosen], truths[chosen]
    scores, count = normal_scores(truths), len(truths)
    regressions = _regressions({name: array[chosen] for name, array in data.items()}, scores, seed)
    rows = []
    for index, name in enumerate(names):
        score = scores[:, index]
        values, first = np.unique(truths[:, index], return_index=True)
        scored = np.interp(draws[:, :, index], values, score[first])
        # The mean of few draws has an error of its own, which is not the posterior's.
        posterior_loss = (scored.mean(axis=1) - score) ** 2 - scored.var(axis=1, ddof=1) / scored.shape[1]
        losses = [(predicted[:, index] - score) ** 2 for predicted in regressions]
        best = min(losses, key=np.mean, default=np.full(count, np.nan))
        variance = score.var()
        rows.append(
            {
                "parameter": name,
                "r2": 1 - posterior_loss.mean() / variance if variance > 0 else np.nan,
                "r2_regression": 1 - best.mean() / variance if variance > 0 else np.nan,
                "p_value": np.minimum(1.0, len(losses) * _p_value((1 - _MARGIN) * posterior_loss - best)),
                "data_sets": count,
                "left_out": left_out,
            }
        )
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame) -> Figure:
    """Share of variance that posterior and regression predict, a row for each parameter."""
    figure, axis = style.rows(list(table["parameter"]))
    height, failed = np.arange(len(table)), (verdict(table)["verdict"] == verdicts.FAIL).to_numpy()
    axis.hlines(height, table["r2"], table["r2_regression"], color=style.GREY, lw=1.2)
    for shown, colour, label in ((~failed, style.BLUE, "posterior"), (failed, style.RED, "posterior that loses data")):
        if shown.any():
            axis.scatter(table["r2"][shown], height[shown], s=36, color=colour, lw=0, zorder=4, label=label)
    if table["r2_regression"].notna().any():
        axis.scatter(
            table["r2_regression"], height,
            s=52, facecolors="white", edgecolors=style.ORANGE, lw=1.6, zorder=3, label="regression on the data",
        )  # fmt: skip
    axis.set_xlim(np.nanmin([-0.03, table["r2"].min() - 0.03, table["r2_regression"].min() - 0.03]), 1.03)
    axis.set_xlabel("share of variance predicted (R², of normal scores)", fontsize=style.LABEL_SIZE)
    style.legend(figure, [axis])
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a parameter that a regression on the data predicts better than the posterior; the value is its R²."""
    limit = verdicts.threshold(len(table))
    judged = []
    for row in table.itertuples():
        word, reason = verdicts.PASS, f"p = {row.p_value:.2g}, limit {limit:.2g}"
        if np.isnan(row.p_value):
            reason = f"no regression on {row.data_sets} data sets: it takes {_FEWEST}"
        elif row.p_value <= limit:
            word = verdicts.FAIL
            better = f"a linear regression on the data predicts better: R² {row.r2_regression:.3f} against {row.r2:.3f}"
            reason = f"{better} (p = {row.p_value:.1g}, limit {limit:.2g})"
        reason += verdicts.left_out_note(int(row.left_out))
        # Not min(), which takes 1 before NaN.
        judged.append((row.parameter, row.r2, np.minimum(1.0, row.p_value * len(table)), word, reason))
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _regressions(data: Mapping[str, np.ndarray], scores: np.ndarray, seed: int) -> list[np.ndarray]:
    """Scores (data sets, parameters) predicted from all numbers, and from what they say together."""
    if len(scores) < _FEWEST:
        return []
    kinds = [entries_of(data)]
    if any(array.ndim > 1 for array in data.values()):
        kinds.append(statistics_of(data))
    return [predictions(columns, scores, np.random.default_rng(seed)) for columns in kinds]


def _p_value(excess: np.ndarray) -> float:
    """P-value of a mean above zero (data sets,)."""
    if np.ptp(excess) == 0:
        return float(excess[0] <= 0)
    return float(stats.ttest_1samp(excess, 0, alternative="greater").pvalue)
