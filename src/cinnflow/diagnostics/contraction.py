"""Posterior z-score and contraction: how much the data say of each parameter, and whether the posterior is right.

Reference:
    Betancourt, Towards a principled Bayesian workflow, 2020; Schad, Betancourt and Vasishth, Toward a principled
    Bayesian workflow in cognitive science, 2021, arXiv:1904.12765.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, verdicts
from cinnflow.diagnostics.calibration import judged_by, ranked

TITLE = "Posterior z-score and contraction"
CAPTION = (
    "One dot a held-out simulation. Contraction, 1 − posterior variance / prior variance, is 0 where the data say "
    "nothing of a parameter and 1 where they fix it; the red line is its median. With a prior of heavy tails, "
    "whose variance is huge, it is near 1 whatever the data say. The z-score, (posterior mean − true"
    " value) / posterior sd, scatters around 0 with spread 1 when the posterior is right; the grey band holds 95 % "
    "of a normal one. A cloud that is higher than the band means a posterior that is too narrow, a flatter one a "
    "posterior that is too wide, and one off the centre line a bias."
)
ADVICE = (
    "Too narrow or too wide, or off to one side, by as much as the verdict says: more simulations, then an ensemble. "
    "A parameter of no contraction needs other data, or a narrower prior, and not another network."
)

_LOWEST_SHOWN = -1.0
"""Contraction of the widest posteriors that are shown, unless the median is further out."""
_SHOWN = 2000


def compute(draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """z-score and contraction of each posterior.

    The true values stand for the prior. The tests use normal scores of the fractional ranks, which are exactly standard
    normal under a right posterior of any shape: their mean shows bias, their mean square a wrong width.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of what breaks ties between ranks.

    Returns:
        One row a parameter and data set: z_score and contraction (both without a unit); median_contraction, bias (of
        the normal scores, in posterior sd), width (posterior sd over the right one), bias_p_value, width_p_value,
        p_value, skill, informative, data_sets and left_out are the parameter's.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    tables = []
    for marginal, ranks in ranked(draws, truths, names, seed):
        scores, count = -stats.norm.ppf(ranks), len(ranks)
        mean, sd = marginal.draws.mean(axis=1), marginal.draws.std(axis=1, ddof=1)
        prior_variance = marginal.truths.var(ddof=1)
        contraction = 1 - sd**2 / prior_variance if prior_variance > 0 else np.zeros(count)
        z_score = np.divide(mean - marginal.truths, sd, out=np.full(count, np.nan), where=sd > 0)
        bias_p = 2 * stats.norm.sf(abs(scores.mean()) * np.sqrt(count))
        squares = np.sum(scores**2)
        width_p = min(1.0, 2 * min(stats.chi2.cdf(squares, count), stats.chi2.sf(squares, count)))
        tables.append(
            pd.DataFrame(
                {
                    "parameter": marginal.name,
                    "data_set": marginal.data_sets,
                    "z_score": z_score,
                    "contraction": contraction,
                    "median_contraction": float(np.median(contraction)),
                    "bias": scores.mean(),
                    "width": np.sqrt(count / squares),
                    "bias_p_value": bias_p,
                    "width_p_value": width_p,
                    **judged_by(marginal, min(1.0, 2 * min(bias_p, width_p))),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """z-score against contraction, a panel for each parameter."""
    groups = list(table.groupby("parameter", sort=False))
    figure, panels = style.grid(len(groups), height=2.5)
    for (name, rows), axis in zip(groups, panels[0], strict=True):
        shown = rows.iloc[:_SHOWN]
        axis.axhspan(*stats.norm.interval(0.95), color=style.BAND, lw=0)
        axis.axhline(0, color=style.GREY, lw=0.8)
        axis.scatter(shown["contraction"], shown["z_score"], s=6, color=style.BLUE, alpha=0.4, lw=0)
        axis.axvline(rows["median_contraction"].iloc[0], color=style.RED, lw=1.2)
        lowest = max(_LOWEST_SHOWN, shown["contraction"].quantile(0.01))
        lowest = min(-0.05, lowest, rows["median_contraction"].iloc[0] - 0.05)
        highest = 1.1 * np.nanmax([4.0, shown["z_score"].abs().quantile(0.995)])
        axis.set(xlim=(lowest, 1.02), ylim=(-highest, highest))
        style.title(axis, name)
        style.note(axis, f"median contraction {rows['median_contraction'].iloc[0]:.2f}", style.RED, top=False)
        if beyond := int((shown["contraction"] < lowest).sum()):
            style.note(axis, f"{beyond} more on the left")
    style.label_outer(panels[0], "contraction", "z-score")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a biased or wrongly wide posterior, and says which; its value is the median contraction."""
    rows = table.drop_duplicates("parameter").reset_index(drop=True)
    limit = verdicts.threshold(2 * len(rows))
    faults = []
    for row in rows.to_dict("records"):
        found = []
        if row["width_p_value"] <= limit:
            found.append(f"{abs(1 - row['width']):.0%} too {'narrow' if row['width'] < 1 else 'wide'}")
        if row["bias_p_value"] <= limit:
            found.append(f"{abs(row['bias']):.2f} sd too {'low' if row['bias'] < 0 else 'high'}")
        faults.append(f"the posterior is {' and '.join(found)} on average")
    return verdicts.calibration_verdict(rows, "median_contraction", faults)
