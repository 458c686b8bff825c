"""Proper scores of the posterior: how much better than the prior it predicts the true values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cinnflow.diagnostics import proper_scores, style, verdicts
from cinnflow.diagnostics.marginals import finite_data_sets, in_prior_units, marginals

TITLE = "Proper scores"
CAPTION = (
    "Skill of the posterior: by how much its score is better than the prior's, over the held-out simulations (lines:"
    " 95 % interval). 0 is no better than the prior, 1 is certainty. Scores are the continuous ranked probability "
    "score of each parameter and the energy score of all of them. A proper score is best for the right posterior "
    "alone, so it shows lost information that calibration cannot see."
)
ADVICE = (
    "The data, or the summary network, say nothing of this parameter: try a summary network that suits the data; "
    "where that does not help, only other data will."
)

_CRPS, _ENERGY, _LOG = "CRPS", "energy score", "log density"


def compute(
    draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, log_prob: np.ndarray | None = None
) -> pd.DataFrame:
    """CRPS of each parameter, energy score of all, and mean log density of the true values.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        log_prob: log posterior density at the true values (data sets,), in nats.

    Returns:
        One row a score: parameter, score, value and standard_error (CRPS in the parameter's unit, energy score in prior
        sd; low is good; log density in nats; high is good), prior (the prior's score), skill, skill_error,
        informative, data_sets, left_out. The log density has no prior to compare with.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    rows = [
        _row(
            marginal.name,
            _CRPS,
            proper_scores.crps(marginal.draws, marginal.truths),
            marginal.left_out,
            proper_scores.prior_crps(marginal.truths),
            proper_scores.marginal_skill(marginal.draws, marginal.truths),
        )
        for marginal in marginals(draws, truths, names)
    ]
    usable = finite_data_sets(draws, truths, names)
    whole, values = in_prior_units(draws[usable], truths[usable])
    left_out = int(np.sum(~usable))
    rows.append(
        _row(
            verdicts.ALL_PARAMETERS,
            _ENERGY,
            proper_scores.energy_score(whole, values),
            left_out,
            proper_scores.prior_energy_score(values),
            proper_scores.joint_skill(whole, values),
        )
    )
    if log_prob is not None:
        if log_prob.shape != (len(truths),):
            raise ValueError(f"log_prob takes the shape ({len(truths)},), got {log_prob.shape}")
        finite = log_prob[np.isfinite(log_prob)]
        rows.append(_row(verdicts.ALL_PARAMETERS, _LOG, finite, len(log_prob) - len(finite)))
    return pd.DataFrame(rows)


def plot(table: pd.DataFrame) -> Figure:
    """Skill of each parameter and of all together, with its interval."""
    shown = table[table["score"] != _LOG].reset_index(drop=True)
    figure, axis = style.rows([f"{row.parameter} ({row.score})" for row in shown.itertuples()])
    colours = np.where(shown["informative"], style.BLUE, style.RED)
    for height, (row, colour) in enumerate(zip(shown.itertuples(), colours, strict=True)):
        axis.errorbar(row.skill, height, xerr=1.96 * row.skill_error, fmt="o", color=colour, ms=6, elinewidth=1.4)
    axis.axvline(0, color=style.INK, lw=1)
    axis.set_xlim(min(-0.05, (shown["skill"] - 2 * shown["skill_error"]).min()), 1)
    axis.set_xlabel("skill over the prior", fontsize=style.LABEL_SIZE)
    for row in table[table["score"] == _LOG].itertuples():
        text = f"mean log density of the true values: {row.value:.3f} ± {row.standard_error:.3f} nats".replace("-", "−")
        axis.set_title(text, fontsize=style.LABEL_SIZE, loc="left")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Says which posteriors know more than their prior; the value is the skill."""
    judged = []
    for row in table[table["score"] != _LOG].itertuples():
        word = verdicts.PASS if row.informative else verdicts.UNINFORMATIVE
        reason = f"{row.score} {row.value:.3g}, the prior's {row.prior:.3g}"
        if row.informative and row.skill < proper_scores.MINIMUM_SKILL:
            reason += "; better than the prior's on the scale of the prior's ranks, where no tail outweighs the rest"
        judged.append((row.parameter, row.skill, np.nan, word, reason + verdicts.left_out_note(int(row.left_out))))
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _row(
    parameter: str,
    score: str,
    posterior: np.ndarray,
    left_out: int,
    prior: np.ndarray | None = None,
    known: proper_scores.Skill | None = None,
) -> dict[str, object]:
    return {
        "parameter": parameter,
        "score": score,
        "value": posterior.mean(),
        "standard_error": posterior.std(ddof=1) / np.sqrt(len(posterior)),
        "prior": np.nan if prior is None else prior.mean(),
        "skill": known.value if known else np.nan,
        "skill_error": known.error if known else np.nan,
        "informative": known.informative if known else False,
        "data_sets": len(posterior),
        "left_out": left_out,
    }
