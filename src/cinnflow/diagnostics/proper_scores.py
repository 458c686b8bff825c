"""Proper scores: how well posterior draws predict the true values, by themselves and beside the prior.

Reference:
    Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, 2007,
    doi:10.1198/016214506000001437.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scoringrules
from scipy import stats
from scipy.spatial.distance import cdist

MINIMUM_SKILL = 0.02
"""Skill below which a posterior counts as no better than the prior; about 4 % of contraction."""

_CHANCE = 0.01
_BACKEND = "numpy"
"""Whatever else is installed: scoringrules would take numba by itself, which compiles for seconds in every job."""
_NUMBERS_AT_ONCE = 2**20


def crps(draws: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score, E|X - y| - E|X - X'| / 2, unbiased in the number of draws; low is good.

    Args:
        draws: draws (data sets, draws).
        truths: true values (data sets,).

    Returns:
        Score of each data set (data sets,), in the parameter's unit.
    """
    # Relative to the truth, which changes no score: this estimator takes differences of large sums.
    errors = draws - truths[:, None]
    return scoringrules.crps_ensemble(np.zeros(len(truths)), errors, estimator="pwm", backend=_BACKEND)


def prior_crps(truths: np.ndarray) -> np.ndarray:
    """CRPS of the prior at each true value, where the other true values stand for the prior (data sets,)."""
    order = np.argsort(truths)
    ordered, count = truths[order] - np.median(truths), len(truths)
    left = np.concatenate([[0.0], np.cumsum(ordered)[:-1]])
    position = np.arange(count)
    to_others = ordered * position - left + (left[-1] + ordered[-1] - left - ordered) - ordered * (count - 1 - position)
    score = np.empty(count)
    score[order] = _leave_one_out(to_others, count)
    return score


def energy_score(draws: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Energy score, E‖X - y‖ - E‖X - X'‖ / 2, the CRPS of several parameters; low is good.

    Distances are Euclidean: parameters should be scaled to one unit first. Each draw is paired with one other, which
    leaves the score unbiased for independent draws.

    Args:
        draws: draws (data sets, draws, parameters).
        truths: true values (data sets, parameters).

    Returns:
        Score of each data set (data sets,).
    """
    parts = np.array_split(np.arange(len(truths)), 1 + draws.size // _NUMBERS_AT_ONCE)
    return np.concatenate(
        [
            scoringrules.es_ensemble(truths[part], draws[part], estimator="akr_circperm", backend=_BACKEND)
            for part in parts
        ]
    )


def prior_energy_score(truths: np.ndarray) -> np.ndarray:
    """Energy score of the prior at each true value, where the other true values stand for the prior (data sets,)."""
    count = len(truths)
    to_others = np.concatenate([cdist(part, truths).sum(axis=1) for part in np.array_split(truths, 1 + count // 500)])
    return _leave_one_out(to_others, count)


@dataclass(frozen=True)
class Skill:
    """How much better than the prior the posterior predicts the true values.

    Args:
        value: 1 - score(posterior) / score(prior): 0 for the prior itself, 1 for certainty, negative when misleading.
        error: standard error of that value over the data sets.
        informative: whether it is at least MINIMUM_SKILL, and more than chance gives; in the parameters' units, or on
            the scale of the prior's ranks.
    """

    value: float
    error: float
    informative: bool


def skill(posterior: np.ndarray, prior: np.ndarray) -> Skill:
    """Skill of scores against the prior's scores of the same data sets, (data sets,) each."""
    gain, scale = prior - posterior, prior.mean()
    if scale <= 0:
        return Skill(0.0, 0.0, False)
    value = float(gain.mean() / scale)
    # The ratio's error to first order: what remains of each gain when the mean skill is taken off.
    error = float((gain - value * prior).std(ddof=1) / (scale * np.sqrt(len(gain))))
    beyond_chance = value > stats.t.ppf(1 - _CHANCE, len(gain) - 1) * error
    return Skill(value, error, bool(beyond_chance and value >= MINIMUM_SKILL))


def marginal_skill(draws: np.ndarray, truths: np.ndarray) -> Skill:
    """CRPS skill of one parameter: draws (data sets, draws), true values (data sets,)."""
    known = skill(crps(draws, truths), prior_crps(truths))
    if not known.informative:
        ranks, true_ranks = prior_ranks(draws, truths)
        known = replace(known, informative=skill(crps(ranks, true_ranks), prior_crps(true_ranks)).informative)
    return known


def joint_skill(draws: np.ndarray, truths: np.ndarray) -> Skill:
    """Energy skill of all parameters: draws (data sets, draws, parameters), true values (data sets, parameters)."""
    known = skill(energy_score(draws, truths), prior_energy_score(truths))
    if not known.informative:
        each = [prior_ranks(draws[..., index], truths[:, index]) for index in range(truths.shape[1])]
        ranks, true_ranks = (np.stack(values, axis=-1) for values in zip(*each, strict=True))
        on_ranks = skill(energy_score(ranks, true_ranks), prior_energy_score(true_ranks))
        known = replace(known, informative=on_ranks.informative)
    return known


def prior_ranks(draws: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws and true values of one parameter as shares of the prior that lie below, for which true values stand.

    On this scale, from 0 to 1, a few far values do not outweigh all others, as they do where the prior has no variance.
    """
    ordered = np.sort(truths)

    def rank(values: np.ndarray) -> np.ndarray:
        return (np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right")) / (2 * len(ordered))

    return rank(draws), rank(truths)


def _leave_one_out(to_others: np.ndarray, count: int) -> np.ndarray:
    """Score of each value against all others, from its sum of distances to them."""
    if count < 3:
        return to_others / (count - 1)
    # Mean distance between two others: all pairs, less those of the one that is left out.
    spread = (to_others.sum() / 2 - to_others) / ((count - 1) * (count - 2) / 2)
    return to_others / (count - 1) - spread / 2
