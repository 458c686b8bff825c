"""TARP, tests of accuracy with random points: is the joint posterior calibrated, the parameters' dependence included?

Reference:
    Lemos, Coogan, Hezaveh and Perreault-Levasseur, Sampling-based accuracy testing of posterior estimators for general
    inference, 2023, arXiv:2302.03026.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cinnflow.diagnostics import style, verdicts
from cinnflow.diagnostics.calibration import joint_coverage
from cinnflow.diagnostics.marginals import finite_data_sets, fractional_ranks, in_prior_units
from cinnflow.diagnostics.proper_scores import joint_skill

TITLE = "Joint coverage (TARP)"
CAPTION = (
    "How often the true parameter vector is among the nominal share of posterior draws that lie nearest to a random "
    "reference point, less that share; this sees all parameters jointly. The curve of a right posterior stays inside"
    " the grey band everywhere with 95 % probability. An S-shaped curve means a posterior that is too narrow or too "
    "wide, one on a single side a bias."
)
ADVICE = (
    "Where each parameter by itself is calibrated, their dependence is not: more coupling layers, more simulations, "
    "or an ensemble."
)


def compute(draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Coverage of the balls around random reference points.

    Distances are Euclidean, in units of the prior's standard deviations. Each data set takes the true values of another
    one for its reference point: a draw from the prior that is independent of its own data. Where several data sets
    share true values that no draw has, it is one with others. Where values are few, and draws have them too, it is not:
    what is never one's own would not be independent of it.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of the reference points, and of what breaks ties between ranks.

    Returns:
        One row a nominal share: parameter ("all parameters"), nominal, coverage, lower, upper, and p_value, skill,
        informative, data_sets, left_out.

    Raises:
        ValueError: when the shapes contradict each other, or fewer than two data sets are finite.
    """
    usable = finite_data_sets(draws, truths, names)
    draws, truths = in_prior_units(draws[usable], truths[usable])
    reference = _references(draws, truths, np.random.default_rng([seed, 1]))
    to_truth = np.linalg.norm(truths - reference, axis=1)
    to_draws = np.stack([np.linalg.norm(own - point, axis=1) for own, point in zip(draws, reference, strict=True)])
    ranks = fractional_ranks(to_draws, to_truth, np.random.default_rng(seed))
    columns = joint_coverage(ranks, 1, joint_skill(draws, truths), int(np.sum(~usable)))
    return pd.DataFrame({"parameter": verdicts.ALL_PARAMETERS, **columns})


def _references(draws: np.ndarray, truths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """True values of another data set at random (data sets, parameters)."""
    count = len(truths)
    references = truths[(np.arange(count) + rng.integers(1, count, size=count)) % count]
    own = (references == truths).all(axis=1)
    if not own.any() or (draws[own] == truths[own, None]).all(axis=2).any():
        return references
    distinct, which = np.unique(truths, axis=0, return_inverse=True)
    others = rng.integers(1, max(2, len(distinct)), size=count)
    return distinct[(which.reshape(-1) + others) % len(distinct)]


def plot(table: pd.DataFrame) -> Figure:
    """Joint coverage less the nominal share."""
    figure, panels = style.grid(1, width=4.2, height=2.8)
    style.difference_band(panels[0, 0], *(table[column] for column in ("nominal", "coverage", "lower", "upper")))
    style.label_outer(panels[0], "nominal share", "coverage − nominal")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a joint posterior whose coverage leaves the band; its value is the largest difference."""
    largest = (table["coverage"] - table["nominal"]).abs().max()
    row = table.iloc[:1].assign(largest=largest)
    return verdicts.calibration_verdict(row, "largest", "joint coverage is off")
