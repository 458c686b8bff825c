"""Coverage: how often central intervals hold the true value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, uniformity, verdicts
from cinnflow.diagnostics.calibration import judged_by, ranked

TITLE = "Coverage of central intervals"
CAPTION = (
    "How often the central interval of each nominal probability holds the true value, less that probability. Above "
    "zero, the posterior is too wide; below, too narrow. The curves of a right posterior stay inside the grey band "
    "everywhere and in all panels at once with 95 % probability. The error is the mean absolute difference. The blue "
    "band says how well this many data sets know the coverage at each probability: the central 95 % of its beta "
    "posterior."
)
ADVICE = (
    "As for simulation-based calibration. Until it passes, take intervals for wider or narrower than they say, as the"
    " curve shows."
)


def compute(draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Coverage of central intervals at many nominal probabilities.

    The smallest central interval that holds a true value of fractional rank u has the probability |2 u - 1|, which is
    uniform under a right posterior.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of what breaks ties between ranks.

    Returns:
        One row a parameter and nominal probability: nominal, coverage, lower and upper (the simultaneous band), low and
        high (95 % interval of the true coverage, which is beta where it was uniform before: the beta-binomial model);
        calibration_error, p_value, skill, informative, data_sets and left_out are the parameter's.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    tables = []
    for marginal, ranks in ranked(draws, truths, names, seed):
        smallest = np.abs(2 * ranks - 1)
        nominal, coverage = uniformity.evaluation_points(len(ranks)), uniformity.ecdf(smallest)
        lower, upper = uniformity.band(len(ranks), verdicts.threshold(len(names)))
        hits = np.rint(coverage * len(ranks))
        low, high = stats.beta.interval(0.95, 1 + hits, 1 + len(ranks) - hits)
        tables.append(
            pd.DataFrame(
                {
                    "parameter": marginal.name,
                    "nominal": nominal,
                    "coverage": coverage,
                    "lower": lower,
                    "upper": upper,
                    "low": low,
                    "high": high,
                    "calibration_error": np.abs(coverage - nominal).mean(),
                    **judged_by(marginal, uniformity.p_value(smallest)),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Coverage less the nominal probability, a panel for each parameter."""
    groups = list(table.groupby("parameter", sort=False))
    figure, panels = style.grid(len(groups))
    for (name, rows), axis in zip(groups, panels[0], strict=True):
        style.difference_band(axis, *(rows[column] for column in ("nominal", "coverage", "lower", "upper")))
        axis.fill_between(
            rows["nominal"], rows["low"] - rows["nominal"], rows["high"] - rows["nominal"],
            color=style.BLUE, alpha=0.2, lw=0,
        )  # fmt: skip
        style.title(axis, name)
        style.note(axis, f"error {rows['calibration_error'].iloc[0]:.3f}")
    style.label_outer(panels[0], "nominal probability", "coverage − nominal")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a parameter whose coverage leaves the band; its value is the calibration error."""
    excess = (table["coverage"] - table["nominal"]).groupby(table["parameter"], sort=False).mean()
    faults = [f"intervals are too {'narrow' if value < 0 else 'wide'}" for value in excess]
    return verdicts.calibration_verdict(table, "calibration_error", faults)
