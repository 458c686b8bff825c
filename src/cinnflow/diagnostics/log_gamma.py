"""Calibration as one number a parameter: log gamma, the most surprising point of the ranks' distribution.

Reference:
    Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari, Simulation-based calibration checking for
    Bayesian computation: the choice of test quantities shapes sensitivity, 2023, arXiv:2211.02383.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cinnflow.diagnostics import style, uniformity, verdicts
from cinnflow.diagnostics.calibration import judged_by, ranked

TITLE = "Calibration at a glance (log gamma)"
CAPTION = (
    "For each parameter, the logarithm of how improbable the most surprising point of its ranks' distribution is, "
    "relative to the limit of a right posterior. Right of the line is well; left of it the ranks are not uniform, "
    "the further the worse. All dots of a right posterior lie right of the line with 95 % probability."
)
ADVICE = "As for simulation-based calibration, whose histogram shows in what way the ranks are not uniform."


def compute(draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Gamma statistic of each parameter's ranks, over its critical value.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of what breaks ties between ranks.

    Returns:
        One row a parameter: log_gamma (natural logarithm of gamma / critical gamma), p_value, skill, informative,
        data_sets, left_out.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    rows = []
    for marginal, ranks in ranked(draws, truths, names, seed):
        critical = uniformity.critical_gamma(len(ranks), verdicts.threshold(len(names)))
        rows.append(
            {
                "parameter": marginal.name,
                "log_gamma": np.log(max(uniformity.gamma(ranks), np.finfo(float).tiny) / critical),
                **judged_by(marginal, uniformity.p_value(ranks)),
            }
        )
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame) -> Figure:
    """One dot a parameter, red where it lies beyond the limit."""
    figure, axis = style.rows(list(table["parameter"]))
    height = np.arange(len(table))
    bad = (table["log_gamma"] < 0).to_numpy()
    for which, colour, marker in ((~bad, style.BLUE, "o"), (bad, style.RED, "X")):
        axis.plot(table["log_gamma"][which], height[which], marker, color=colour, ms=7)
    axis.axvline(0, color=style.INK, lw=1)
    low, high = min(-1.0, table["log_gamma"].min()), max(1.0, table["log_gamma"].max())
    axis.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axis.axvspan(axis.get_xlim()[0], 0, color=style.BAND, lw=0, zorder=0)
    axis.set_xlabel("log(γ / critical γ)", fontsize=style.LABEL_SIZE)
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a parameter left of the limit; its value is log gamma."""
    return verdicts.calibration_verdict(table, "log_gamma", "ranks are not uniform")
