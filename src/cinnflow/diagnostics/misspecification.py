"""Misspecification: are the observed data like any that the model simulates, as far as the network can tell?

Where they are not, the network extrapolates, and its posterior means nothing. The observed summaries are compared to
those of simulations by their maximum mean discrepancy (MMD), and that to its distribution where both are alike.

Reference:
    Schmitt, Bürkner, Köthe and Radev, Detecting model misspecification in amortized Bayesian inference with neural
    networks, 2021, arXiv:2112.08866; Gretton, Borgwardt, Rasch, Schölkopf and Smola, A kernel two-sample test, 2012,
    JMLR 13:723-773 (the test by permutation).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, verdicts
from cinnflow.mmd_kernel import SQUARED_WIDTHS

TITLE = "Model misspecification"
CAPTION = (
    "How far the summaries of the observation lie from those of simulations (line: squared maximum mean discrepancy), "
    "and how far as many summaries lie that are drawn from both at random (bars). An observation that the model could "
    "have produced lies beyond the dashed 95 % limit one time in twenty. (Contexts and lengths count as data: one "
    "whose context or length is extreme among the simulations lies there more often.) Beyond it, the network has seen "
    "nothing alike: its posterior is not to be trusted, however narrow, before the model is mended."
)
ADVICE = (
    "Compare the observation with the prior predictive check: units, order and missing values first, then what the "
    "simulator leaves out. Where the observation's context or length is extreme among the simulations, that may be "
    "all: let the model draw such ones more often. Training longer does not help."
)

OBSERVED, RESAMPLED = "observed", "resampled"

_MOST = 1000
"""Data sets of each kind that are compared at most: the kernel between all of them is in memory."""

_MOST_EACH = 200
"""Data sets that are compared one by one at most."""
_NAMED = 5
"""Data sets that a verdict names at most."""
_FAR = 1.5
"""How much further than the furthest simulation, from their median, is beyond chance for any number of data sets."""
_CHANCES = 2000
"""Sets of ranks by chance that those of several data sets are compared with."""

_SMALLEST_SHARE = 1e-8
_MOST_COMPONENTS = 0.5
"""Of the rows. Whitened in as many directions as there are rows, all rows are equally far from each other."""


def compute(
    observed_summaries: np.ndarray, reference_summaries: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Squared MMD between observed and simulated summaries, and its distribution where both are alike.

    The summaries are whitened together, so that their units and their dependence do not matter; where they vary in more
    directions than half as many as there are data sets, each entry is scaled alone. Where the observed data come from
    the model, which data sets are called observed is arbitrary: the p-value is the share of random choices of as many
    data sets, the actual one among them, that are at least as far from the rest. It is exact for any number of data
    sets. For a single one, these choices are all that there are: each simulation takes its place.

    Args:
        observed_summaries: (observed data sets, entries).
        reference_summaries: of simulations from the prior that were not trained on (simulations, entries). Where they
            come from a region around the observed data themselves, the test fails too rarely: they are all alike it.
        resamples: random choices, where several data sets are observed.
        seed: seed of these, and of which data sets are compared where there are more than 1,000 of one kind.

    Returns:
        One row for the observation and one a resample: sample ("observed" or "resampled"), squared_mmd, and p_value,
        data_sets, simulations, left_out.

    Raises:
        ValueError: when shapes contradict each other, no observed data set is finite or fewer than two simulations are.
    """
    if np.ndim(observed_summaries) != 2 or np.shape(observed_summaries)[1:] != np.shape(reference_summaries)[1:]:
        raise ValueError(
            "observed_summaries and reference_summaries take the shapes (data sets, entries) and (simulations, "
            f"entries): got {np.shape(observed_summaries)} and {np.shape(reference_summaries)}"
        )
    rng = np.random.default_rng(seed)
    observed, missing_observed = _finite(observed_summaries, rng)
    reference, missing_reference = _finite(reference_summaries, rng)
    if len(observed) < 1 or len(reference) < 2:
        raise ValueError(
            f"{len(observed)} observed data sets and {len(reference)} simulations have finite summaries: the test "
            "takes one and two at least"
        )
    kernel = _kernel(_whitened(np.concatenate([observed, reference])))
    distances = _squared_mmds(kernel, len(observed), resamples, rng)
    # Choices of the same data sets differ by rounding.
    as_far = distances[1:] >= distances[0] - 1e-12 * np.abs(distances).max()
    return pd.DataFrame(
        {
            "sample": [OBSERVED] + [RESAMPLED] * len(as_far),
            "squared_mmd": distances,
            "p_value": (1 + np.sum(as_far)) / (1 + len(as_far)),
            "data_sets": len(observed),
            "simulations": len(reference),
            "left_out": missing_observed + missing_reference,
        }
    )


def compute_each(observed_summaries: np.ndarray, reference_summaries: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """The same for each of several data sets alone: as a group they need not be like draws from the prior.

    Args:
        observed_summaries: as for `compute`; 200 data sets at random are compared where there are more.
        reference_summaries: as for `compute`.
        seed: likewise.

    Returns:
        One row for each data set that is compared, then the resamples of the first of them; columns as for `compute`,
        and data_set, the number of the data set.

    Raises:
        ValueError: as for `compute`.
    """
    summaries = np.asarray(observed_summaries, np.float64)
    usable = np.flatnonzero(np.isfinite(summaries).all(axis=1))
    left_out = len(summaries) - len(usable)
    if len(usable) > _MOST_EACH:
        usable = np.sort(np.random.default_rng(seed).choice(usable, _MOST_EACH, replace=False))
    numbers = usable if len(usable) else [0]  # of which the error tells
    first, *others = [
        compute(summaries[[number]], reference_summaries, seed=seed).assign(data_set=number) for number in numbers
    ]
    table = pd.concat([first.iloc[:1], *(other.iloc[:1] for other in others), first.iloc[1:]], ignore_index=True)
    return table.assign(data_sets=len(usable), left_out=table["left_out"] + left_out)


def plot(table: pd.DataFrame) -> Figure:
    """The observation's distance from the simulations among those of resamples."""
    figure, panels = style.grid(1, width=4.2, height=2.8)
    axis = panels[0, 0]
    resampled, observed = _split(table)
    axis.hist(resampled, bins=40, density=True, color=style.BLUE, alpha=0.6, label="if the model is right")
    limit = np.quantile(resampled, 1 - verdicts.threshold(1))
    axis.axvline(limit, color=style.INK, lw=1, ls="--", label="95 % limit")
    for i, (distance, p_value) in enumerate(observed):
        colour = style.RED if p_value <= verdicts.threshold(1) else style.INK
        label = f"observation{f', {len(observed)} data sets' if len(observed) > 1 else ''}"
        axis.axvline(distance, color=colour, lw=2 if len(observed) == 1 else 0.8, label=None if i else label)
    style.few_ticks(axis)
    axis.set(yticks=[], xlabel="squared MMD between summaries")
    axis.legend(fontsize=style.TICK_SIZE, frameon=False)
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails an observation that is further from the simulations than 95 % of resamples; the value is its MMD.

    Several data sets fail where their p-values are smaller than chance makes them. Where they do not, a few that are
    further than any simulation make the verdict doubtful, if chance does not put so many there, or not so far.
    """
    resampled, observed = _split(table)
    distances, p_values = (np.array(column) for column in zip(*observed, strict=True))
    simulations, left_out = (int(table[column].iloc[0]) for column in ("simulations", "left_out"))
    limit = verdicts.threshold(1)
    p_value = float(p_values[0]) if len(p_values) == 1 else _p_value_of_all(p_values, simulations)
    word = verdicts.FAIL if p_value <= limit else verdicts.PASS
    if len(p_values) == 1:
        what = "the model simulates nothing alike" if word == verdicts.FAIL else "the model simulates data alike"
    else:
        beyond = p_values <= 1 / simulations
        outside = table["data_set"].to_numpy()[: len(p_values)][beyond]
        far = np.max(distances[beyond], initial=0.0) > _farthest_by_chance(resampled)
        if word == verdicts.PASS and (far or _chance_beyond(len(outside), len(p_values), simulations) <= limit):
            word = verdicts.DOUBTFUL
        what = (
            f"of {len(p_values)} data sets, {np.sum(p_values <= limit)} lie beyond their 95 % limit, and "
            f"{len(outside)} further off than any simulation{_numbers(outside)}"
        )
    reason = f"{what} (p = {p_value:.2g}, limit {limit:.2g})" + verdicts.left_out_note(left_out)
    row = (verdicts.ALL_PARAMETERS, float(np.sqrt(max(distances.max(), 0.0))), p_value, word, reason)
    return pd.DataFrame([row], columns=verdicts.COLUMNS)


def _farthest_by_chance(resampled: np.ndarray) -> float:
    """Distance that hardly any of many data sets of a right model exceeds."""
    median = np.median(resampled)
    return float(median + _FAR * (resampled.max() - median))


def _chance_beyond(beyond: int, data_sets: int, simulations: int) -> float:
    """Probability that so many of the data sets at least are further than all simulations, where all are alike."""
    places = np.arange(beyond)
    return float(np.prod((data_sets - places) / (data_sets + simulations - places)))


def _numbers(data_sets: np.ndarray) -> str:
    """Numbers of data sets in words; the first few where there are many."""
    if not len(data_sets):
        return ""
    few = ", ".join(str(number) for number in data_sets[:_NAMED])
    return f", number{'s' if len(data_sets) > 1 else ''} {few}{' and others' if len(data_sets) > _NAMED else ''}"


def _p_value_of_all(p_values: np.ndarray, simulations: int) -> float:
    """Whether several p-values (n,), each a rank among the same simulations, are too small together.

    The statistic is the least probable of the numbers of p-values up to each of them (one-sided Berk-Jones). That of
    ranks by chance alone is simulated, since p-values of so few simulations are coarse.

    Reference:
        Berk and Jones, Goodness-of-fit test statistics that dominate the Kolmogorov statistics, 1979, Z.
        Wahrscheinlichkeitstheorie verw. Gebiete 47:47-59.
    """
    rng = np.random.default_rng(0)
    by_chance = np.empty((_CHANCES, len(p_values)))
    for row in by_chance:
        reference = np.sort(rng.random(simulations))
        row[:] = (1 + np.searchsorted(reference, rng.random(len(p_values)))) / (1 + simulations)
    ranked = np.sort(np.vstack([p_values, by_chance]), axis=1)
    smallest = stats.binom.sf(np.arange(len(p_values)), len(p_values), ranked).min(axis=1)
    return float(np.mean(smallest <= smallest[0] * (1 + 1e-9)))


def _split(table: pd.DataFrame) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Squared MMDs of the resamples (resamples,), and that of each observation with its p-value."""
    observed = table["sample"] == OBSERVED
    rows = table.loc[observed, ["squared_mmd", "p_value"]]
    return table.loc[~observed, "squared_mmd"].to_numpy(), list(rows.itertuples(index=False, name=None))


def _finite(summaries: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """At most _MOST of the finite rows, chosen at random, and the number of rows that are not finite."""
    values = np.asarray(summaries, np.float64)
    usable = values[np.isfinite(values).all(axis=1)]
    if len(usable) > _MOST:
        usable = usable[rng.choice(len(usable), _MOST, replace=False)]
    return usable, int(np.sum(~np.isfinite(values).all(axis=1)))


def _whitened(rows: np.ndarray) -> np.ndarray:
    """Rows (n, entries) as uncorrelated components of variance 1; directions in which they do not vary are left out.

    Where too few rows tell the components apart, the entries themselves with variance 1.
    """
    largest = np.abs(rows).max(axis=0)
    rows = rows / np.where(largest > 0, largest, 1.0)  # squares of huge entries would overflow
    rows = rows - rows.mean(axis=0)
    sd = rows.std(axis=0)
    rows = rows / np.where(sd > 0, sd, 1.0)
    u, singular, _ = np.linalg.svd(rows, full_matrices=False)
    kept = np.square(singular) > _SMALLEST_SHARE * np.sum(np.square(singular))
    if np.sum(kept) > _MOST_COMPONENTS * len(rows):
        return rows
    return u[:, kept] * np.sqrt(len(rows))


def _kernel(rows: np.ndarray) -> np.ndarray:
    """The kernel of `mmd_kernel.py` between all rows (n, n)."""
    squares = np.sum(np.square(rows), axis=1)
    distances = np.maximum(squares[:, None] + squares - 2.0 * rows @ rows.T, 0.0) / max(1, rows.shape[1])
    return np.mean([np.exp(-distances / (2.0 * width)) for width in SQUARED_WIDTHS], axis=0)


def _squared_mmds(kernel: np.ndarray, first: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Squared MMD (1 + choices,) between the first rows and the others, and between as many others and the rest.

    With weights w of 1/first in one group and −1/rest in the other, it is wᵀ K w.
    """
    count = len(kernel)
    if first == 1:
        choices = [[row] for row in range(1, count)]
    else:
        choices = [rng.choice(count, first, replace=False) for _ in range(resamples)]
    weights = np.full((1 + len(choices), count), -1.0 / (count - first))
    weights[0, :first] = 1.0 / first
    for row, chosen in zip(weights[1:], choices, strict=True):
        row[chosen] = 1.0 / first
    return np.einsum("bi,bi->b", weights @ kernel, weights)
