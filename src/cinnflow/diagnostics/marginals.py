"""One parameter at a time: its draws and true values, their ranks, and how much the draws know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

MINIMUM_SKILL = 0.02
"""CRPS skill below which a posterior counts as no better than the prior; about 4 % of contraction."""

_CHANCE = 0.01


@dataclass(frozen=True)
class Marginal:
    """Draws and true values of one parameter, over the data sets where all of them are finite.

    Args:
        name: the parameter's name.
        draws: posterior draws (data sets, draws).
        truths: values that the data were simulated with (data sets,).
        data_sets: positions of these data sets among all of them (data sets,).
        left_out: how many data sets are missing here, because a draw or the true value is not finite.
    """

    name: str
    draws: np.ndarray
    truths: np.ndarray
    data_sets: np.ndarray
    left_out: int


def check_shapes(draws: np.ndarray, truths: np.ndarray, names: Sequence[str]) -> None:
    """Refuses arrays that do not belong together.

    Raises:
        ValueError: when the shapes of draws, truths and names contradict each other, or nothing is there.
    """
    wanted = "draws take the shape (data sets, draws, parameters) and truths (data sets, parameters)"
    if draws.ndim != 3 or truths.ndim != 2:
        raise ValueError(f"{wanted}: got {draws.shape} and {truths.shape}")
    if draws.shape[0] != truths.shape[0] or draws.shape[2] != truths.shape[1] or len(names) != truths.shape[1]:
        raise ValueError(f"{wanted}, with a name for each parameter: got {draws.shape}, {truths.shape}, {list(names)}")
    if len(set(names)) != len(names):
        raise ValueError(f"parameter names must differ from each other: got {list(names)}")
    if draws.shape[0] < 2 or draws.shape[1] < 2:
        raise ValueError(f"a diagnostic needs two data sets and two draws for each at least: got {draws.shape}")


def marginals(draws: np.ndarray, truths: np.ndarray, names: Sequence[str]) -> Iterator[Marginal]:
    """Each parameter's draws and true values.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.

    Raises:
        ValueError: when the shapes contradict each other, or a parameter has fewer than two usable data sets.
    """
    check_shapes(draws, truths, names)
    for index, name in enumerate(names):
        values, truth = np.ascontiguousarray(draws[:, :, index]), truths[:, index]
        usable = np.isfinite(truth) & np.isfinite(values).all(axis=1)
        if usable.sum() < 2:
            raise ValueError(
                f"parameter {name!r} has {usable.sum()} data sets with finite draws and truth, of {len(truth)}"
            )
        yield Marginal(name, values[usable], truth[usable], np.flatnonzero(usable), int(np.sum(~usable)))


def fractional_ranks(draws: np.ndarray, truths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where each true value falls among its draws: (rank + u) / (draws + 1), ties broken at random.

    With u uniform, these are independent and exactly uniform on (0, 1) when the posterior is right, whatever the
    number of draws; plain rank / draws is not.

    Args:
        draws: posterior draws (data sets, draws).
        truths: true values (data sets,).
        rng: source of u.

    Returns:
        Fractional ranks (data sets,).
    """
    below = np.count_nonzero(draws < truths[:, None], axis=1)
    ties = np.count_nonzero(draws == truths[:, None], axis=1)
    return (below + (ties + 1) * rng.uniform(size=len(truths))) / (draws.shape[1] + 1)


def crps(draws: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score, E|X - y| - E|X - X'| / 2, unbiased in the number of draws; low is good.

    Args:
        draws: draws (data sets, draws).
        truths: true values (data sets,).

    Returns:
        Score of each data set (data sets,), in the parameter's unit.

    Reference:
        Gneiting and Raftery, Strictly proper scoring rules, 2007, doi:10.1198/016214506000001437.
    """
    count = draws.shape[1]
    weights = (2 * np.arange(1, count + 1) - count - 1) / (count * (count - 1))
    return np.abs(draws - truths[:, None]).mean(axis=1) - np.sort(draws, axis=1) @ weights


def prior_crps(truths: np.ndarray) -> np.ndarray:
    """CRPS of the prior at each true value, where the other true values stand for the prior (data sets,)."""
    order = np.argsort(truths)
    ordered, count = truths[order] - np.median(truths), len(truths)
    left = np.concatenate([[0.0], np.cumsum(ordered)[:-1]])
    position = np.arange(count)
    to_others = ordered * position - left + (left[-1] + ordered[-1] - left - ordered) - ordered * (count - 1 - position)
    # Mean distance between two others: all pairs, less those of the one that is left out.
    pairs = to_others.sum() / 2
    spread = (pairs - to_others) / ((count - 1) * (count - 2) / 2) if count > 2 else np.zeros(count)
    score = np.empty(count)
    score[order] = to_others / (count - 1) - spread / 2
    return score


@dataclass(frozen=True)
class Skill:
    """How much better than the prior the posterior predicts the true values.

    Args:
        value: 1 - CRPS(posterior) / CRPS(prior): 0 for the prior itself, 1 for certainty, negative when misleading.
        informative: whether that is at least MINIMUM_SKILL, and more than chance gives.
    """

    value: float
    informative: bool


def skill(marginal: Marginal) -> Skill:
    """CRPS skill of one parameter's posterior over its prior, with a paired test over the data sets."""
    prior, posterior = prior_crps(marginal.truths), crps(marginal.draws, marginal.truths)
    gain = prior - posterior
    value = float(gain.mean() / prior.mean()) if prior.mean() > 0 else 0.0
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    beyond_chance = bool(gain.mean() > stats.t.ppf(1 - _CHANCE, len(gain) - 1) * error)
    return Skill(value, beyond_chance and value >= MINIMUM_SKILL)
