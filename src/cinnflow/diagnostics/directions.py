"""Narrowest directions: is the joint posterior calibrated along the combinations of parameters that it knows best?

Where data tell a sum or a product of parameters far better than each of them, a posterior may be right in every
parameter, and many times too wide along that sum. Distances in all parameters together, as TARP takes them, hardly
see that from three parameters on.

Reference:
    Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari, Simulation-based calibration checking for
    Bayesian computation: the choice of test quantities shapes sensitivity, 2023, arXiv:2211.02383.
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

TITLE = "Narrowest directions"
CAPTION = (
    "Combinations of parameters along which each posterior is narrowest, for how wide it is in the parameters "
    "themselves, and along which the true values of other data sets lie nearest to its middle: how often the true "
    "combination lies in its central interval, less the interval's nominal share. The "
    "curve of a right posterior stays inside the grey band everywhere with 95 % probability, in all panels together. "
    "Above it the posterior is too wide along that direction, below it too narrow, though each parameter by itself may "
    "be right."
)
ADVICE = (
    "The network misses how parameters depend on each other: more simulations, more coupling layers, "
    "`coupling: spline`, or an ensemble; or parameters of which the data tell each by itself, such as their sum and "
    "difference."
)

_OF_DRAWS, _OF_ERRORS = 3, 2
"""Directions that are looked at, at most: those that each posterior's draws give, and those that all errors give."""
_ROUNDING = 1e-5
"""Standard deviation, where each parameter has one of 1, that rounding alone may leave."""
_NAMED = 3
"""Parameters that a direction is said to be of."""


def compute(draws: np.ndarray, truths: np.ndarray, names: Sequence[str], *, seed: int = 0) -> pd.DataFrame:
    """Coverage of central intervals along the last principal axes of each posterior, and of all errors.

    One half of the draws gives a posterior's axes, in units of the standard deviations of the parameters in it; the
    true values are ranked among the other half. Errors are the true values in these units; of one half of the data
    sets they give axes for the other. So ranks are uniform where the posterior is right. A posterior that is too wide
    along a direction that its draws have shows in the former, one that lacks a dependence in the latter.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        seed: seed of what breaks ties between ranks.

    Returns:
        One row a direction and nominal share: parameter ("all parameters"), direction ("draws 1" for the narrowest that
        draws give, "errors 1" for errors), mostly (the parameters that it is made of), nominal, coverage, lower, upper,
        p_value, skill, informative, data_sets, left_out.

    Raises:
        ValueError: when the shapes contradict each other, or fewer than two data sets are finite.
    """
    usable = finite_data_sets(draws, truths, names)
    draws, truths = in_prior_units(draws[usable], truths[usable])
    known, left_out = joint_skill(draws, truths), int(np.sum(~usable))
    varying = np.flatnonzero((truths != truths[:1]).any(axis=0))
    varying = varying if len(varying) else np.arange(1)
    directions = _directions(draws[..., varying], truths[:, varying])
    tables = []
    for number, (label, axis, of_draws, of_truths) in enumerate(directions):
        ranks = np.abs(2 * fractional_ranks(of_draws, of_truths, np.random.default_rng([seed, number])) - 1)
        table = {
            "parameter": verdicts.ALL_PARAMETERS,
            "direction": label,
            "mostly": ", ".join(_mostly(axis, [names[index] for index in varying])),
            **joint_coverage(ranks, len(directions), known, left_out),
        }
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Coverage less the nominal share, along each direction."""
    groups = list(table.groupby("direction", sort=False))
    figure, panels = style.grid(len(groups))
    for (direction, rows), axis in zip(groups, panels[0], strict=True):
        style.difference_band(axis, *(rows[column] for column in ("nominal", "coverage", "lower", "upper")))
        style.title(axis, f"{direction}: {rows['mostly'].iloc[0]}", width=24)
    style.label_outer(panels[0], "nominal share", "coverage − nominal")
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a joint posterior whose coverage leaves the band along a direction; its value is the largest difference."""
    difference = (
        (table["coverage"] - table["nominal"])
        .groupby(table["direction"], sort=False)
        .agg(lambda d: d.loc[d.abs().idxmax()])
    )
    first = table.groupby("direction", sort=False).first()
    worst = first["p_value"].idxmin()
    row = first.loc[[worst]].assign(
        p_value=min(1.0, first.loc[worst, "p_value"] * len(first)), largest=abs(difference[worst])
    )
    what = "wide" if difference[worst] > 0 else "narrow"
    fault = f"the joint posterior is too {what} along a combination of {first.loc[worst, 'mostly']}"
    return verdicts.calibration_verdict(row, "largest", fault)


def _directions(draws: np.ndarray, truths: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, axis (data sets, parameters), and draws (data sets, draws) and true values (data sets,) along each."""
    half = draws.shape[1] // 2
    first, others = draws[:, :half], draws[:, half:]
    mean, sd = first.mean(axis=1, keepdims=True), first.std(axis=1, keepdims=True)
    sd = np.where(sd > 0, sd, 1.0)
    first, others, errors = (first - mean) / sd, (others - mean) / sd, ((truths[:, None] - mean) / sd)[:, 0]
    found = _along("draws", _narrowest(first), others, errors, _OF_DRAWS)
    # One half of the data sets alone: with both, each in the place of the other, ranks would depend on each other.
    axes = np.broadcast_to(_narrowest(errors[::2]), (len(errors[1::2]), *errors.shape[1:], errors.shape[1]))
    return found + _along("errors", axes, others[1::2], errors[1::2], _OF_ERRORS)


def _along(
    kind: str, axes: np.ndarray, draws: np.ndarray, truths: np.ndarray, most: int
) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """The first of these axes (data sets, parameters, axes) along which draws vary, each as `_directions` says.

    Where a quantity is the sum of others, say, nothing but rounding is left along one of them.
    """
    values = np.concatenate([draws, truths[:, None]], axis=1) @ axes  # at once, so that all are rounded alike
    varying = np.flatnonzero(np.median(values[:, :-1].std(axis=1), axis=0) > _ROUNDING)
    chosen = varying[:most] if len(varying) else [axes.shape[-1] - 1]
    return [
        (f"{kind} {number}", axes[..., index], values[:, :-1, index], values[:, -1, index])
        for number, index in enumerate(chosen, start=1)
    ]


def _narrowest(values: np.ndarray) -> np.ndarray:
    """Unit vectors (..., parameters, parameters), one a column, from where values (..., n, parameters) are smallest."""
    return np.linalg.eigh(np.swapaxes(values, -1, -2) @ values)[1]


def _mostly(axis: np.ndarray, names: Sequence[str]) -> list[str]:
    """Names of the parameters that a direction (data sets, parameters) has most of."""
    share = np.square(axis).mean(axis=0)
    order = np.argsort(-share, kind="stable")[:_NAMED]
    return [names[index] for index in order if share[index] > 0.5 / len(names)]
