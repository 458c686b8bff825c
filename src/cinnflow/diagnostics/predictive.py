"""Predictive checks: do simulations from the posterior, and from the prior, look like the observation?

The posterior has seen the observation, so that simulations with many draws of it look like the observation more often
than they should: judged by these, hardly any model ever fails. One single draw θ̃ given the data x has the same joint
distribution with x as the true parameters have, where the posterior is right. So x and simulations that all take this
one θ̃ are exchangeable, and the rank of x among them is uniform: the sampled posterior predictive p-value. But by it
alone a right posterior fails where θ̃ happens to lie in a tail, though nothing is amiss. So the verdict's p-value is the
larger one of both: it is no smaller than one that is uniform, and both find what a wrong simulator does.

Reference:
    Gelman, Meng and Stern, Posterior predictive assessment of model fitness via realized discrepancies, 1996; one
    draw: Johnson, Bayesian model assessment using pivotal quantities, 2007, Bayesian Analysis 2:719-734; Gosselin, A
    new calibrated Bayesian internal goodness-of-fit method: sampled posterior p-values, 2011, PLoS ONE 6(3):e14770;
    the simultaneous envelope: Myllymäki, Mrkvička, Grabarnik, Seijo and Hahn, Global envelope tests for spatial
    processes, 2017, arXiv:1307.0239.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cinnflow.diagnostics import simulated_data, style, verdicts

TITLE = "Posterior predictive check"
CAPTION = (
    "Data simulated with parameters from the posterior (blue: central 50 % and 90 % at each point, line: median) and "
    "the real observation (dots; orange where it lies outside the 90 %); maps, where an array has more than eight "
    "columns. One point in ten outside is expected. The verdict compares the observation, at all points at once, with "
    "these simulations, and with others that all take one and the same posterior draw: to the latter a right "
    "posterior makes the observation just one more. It fails where it is among the most extreme 5 % of both, which a "
    "right posterior is 5 % of the time at most. (The posterior has seen the observation, so that among simulations "
    "from all of it a right one hardly ever is; among those with one draw it may be where that draw lies in a tail.)"
)
ADVICE = (
    "Where calibration fails, mend that first. Where it passes, the simulator lacks something: the points outside of "
    "the band, or a course that the band does not follow, say what."
)
PRIOR_TITLE = "Prior predictive check"
PRIOR_CAPTION = (
    "Data simulated with parameters from the prior (grey: central 50 % and 90 % at each point, line: median) and the "
    "real observation (dots; orange where it lies outside the 90 %; maps, where an array has more than eight columns): "
    "what the model takes for possible before it has seen the data. An observation outside of it is one that the "
    "network has seen nothing like in training, so that its posterior is an extrapolation."
)
PRIOR_ADVICE = (
    "Move or widen the prior so that data like these are simulated often, or look for an error in how the observation "
    "is read: units, order, missing values."
)

FEWEST = math.ceil(1 / verdicts.FALSE_ALARMS) - 1
"""Simulations that a verdict takes at least: among fewer, an observation cannot be extreme enough to fail."""

_LIMIT = verdicts.percent(verdicts.FALSE_ALARMS)
_QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_PRIOR = "prior_"


def compute(
    simulated: Mapping[str, np.ndarray],
    observed: Mapping[str, np.ndarray],
    repeated: Mapping[str, np.ndarray],
    prior: Mapping[str, np.ndarray] | None = None,
    labels: Mapping[str, str] | None = None,
    mask: str = "mask",
) -> pd.DataFrame:
    """Quantiles of the simulations at each point of the observation, and how extreme the observation is.

    A simulation that is not finite has failed and is left out. Elements that a mask among the data says are missing do
    not deviate, in the observation and in simulations alike, and are not shown.

    Args:
        simulated: data by name, each (simulations, ...), whose parameters are draws from all over the posterior.
        observed: the observation by name, each shaped like one simulation.
        repeated: data by name, each (simulations, ...), whose parameters are one posterior draw, the same for all.
        prior: prior predictive data by name, each (simulations, ...).
        labels: what an array, or its first and second axis, `<array>_0` and `<array>_1`, are called on a figure; by
            default, the former two by that name.
        mask: name of the data (elements,) that say which elements are there, if they are among them.

    Returns:
        One row a point: array, index (along the first axis), column (along the others), observed, x_label,
        column_label, y_label, q05 ... q95 of `simulated`, and all_draws and one_draw (share of data sets as extreme as
        the observation over all points, among it and `simulated` or `repeated`), p_value (the larger one), compared
        (how many of the scarcer are usable), left_out (how many of both are not). With prior predictive data, q05 ...
        q95, p_value, compared and left_out of these too, with `prior_` in front. Quantiles and p-values are NaN where
        no simulation is usable.

    Raises:
        ValueError: when a name is missing, shapes differ or no point of the observation is finite.
    """
    if not observed:
        raise ValueError("the observation has no array")
    labels = labels or {}
    observed = _without_missing(observed, mask)
    places = []
    for name, values in observed.items():
        size, first = np.size(values), np.shape(values)[0] if np.ndim(values) else 1
        index, column = np.divmod(np.arange(size), size // first)
        axis = f"{name}_0"
        texts = {
            "x_label": labels.get(axis, axis),
            "column_label": labels.get(f"{name}_1", "column"),
            "y_label": labels.get(name, name),
        }
        places.append(pd.DataFrame({"array": name, "index": index, "column": column, **texts}))
    table = pd.concat(places, ignore_index=True)
    table["observed"] = _flat(observed)
    if not np.isfinite(table["observed"]).any():
        raise ValueError("no point of the observation is finite")
    all_draws, one_draw = (_comparison(kind, observed, mask) for kind in (simulated, repeated))
    table = pd.concat([table, _fan(simulated, observed, mask)], axis=1).assign(
        all_draws=all_draws["p_value"],
        one_draw=one_draw["p_value"],
        p_value=np.maximum(all_draws["p_value"], one_draw["p_value"]),
        compared=min(all_draws["compared"], one_draw["compared"]),
        left_out=all_draws["left_out"] + one_draw["left_out"],
    )
    if prior is None:
        return table
    expected = _fan(prior, observed, mask).assign(**_comparison(prior, observed, mask))
    return pd.concat([table, expected.add_prefix(_PRIOR)], axis=1)


def plot(table: pd.DataFrame) -> Figure:
    """The simulations with the observation over them: a fan for each array, and each of its columns; maps of images."""
    if table["q50"].isna().all():
        return simulated_data.sentence("No simulation from the posterior succeeded.")
    return simulated_data.plot(table, style.BLUE)


def plot_prior(table: pd.DataFrame) -> Figure:
    """The same for the prior predictive data; a sentence where there are none."""
    if f"{_PRIOR}q50" not in table:
        return simulated_data.sentence("No simulation from the prior is as long as the observation.")
    return simulated_data.plot(_of_prior(table), style.GREY)


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Judges the observation as a whole; the value is the share of its points inside the central 90 %."""
    one_draw, all_draws = (verdicts.percent(share) for share in table[["one_draw", "all_draws"]].iloc[0])
    found = (
        f"the observation is among the {one_draw} most extreme of the simulations with one posterior draw, and the "
        f"{all_draws} most extreme of those with many (limit for both {_LIMIT})"
    )
    return _verdict(table, verdicts.FAIL, "simulations with one posterior draw, or with many draws,", found)


def verdict_prior(table: pd.DataFrame) -> pd.DataFrame:
    """The same for the prior predictive data: doubtful where the prior does not expect such an observation."""
    if f"{_PRIOR}q50" not in table:
        return pd.DataFrame([], columns=verdicts.COLUMNS)
    expected = _of_prior(table)
    share = verdicts.percent(expected["p_value"].iloc[0])
    found = f"the observation is among the {share} most extreme of the simulations from the prior (limit {_LIMIT})"
    return _verdict(expected, verdicts.DOUBTFUL, "simulations from the prior", found)


def _of_prior(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the prior predictive columns in place of the posterior predictive ones."""
    names = {name: name.removeprefix(_PRIOR) for name in table.columns if name.startswith(_PRIOR)}
    return table.drop(columns=list(names.values())).rename(columns=names)


def _flat(observed: Mapping[str, np.ndarray]) -> np.ndarray:
    """All points of the observation (points,)."""
    return np.concatenate([np.ravel(values).astype(float) for values in observed.values()])


def _usable(
    simulated: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray], mask: str
) -> tuple[np.ndarray, int]:
    """The same points of each simulation that is finite (simulations, points), and how many are not."""
    for name, values in observed.items():
        got = np.shape(simulated[name])[1:] if name in simulated else None
        if got != np.shape(values):
            raise ValueError(f"{name!r} is observed with the shape {np.shape(values)}, simulated with {got}")
    flat = np.concatenate(
        [np.reshape(simulated[name], (len(simulated[name]), np.size(values))) for name, values in observed.items()],
        axis=1,
    ).astype(float)
    finite = np.isfinite(flat).all(axis=1)
    if mask in simulated:
        there = [_there(simulated[mask], simulated[name]).reshape(len(flat), -1) for name in observed]
        flat[~np.concatenate(there, axis=1)] = np.nan
    return flat[finite], int(np.sum(~finite))


def _without_missing(observed: Mapping[str, np.ndarray], mask: str) -> dict[str, np.ndarray]:
    """The observation with NaN for elements that its mask says are missing, and without the mask."""
    arrays = {name: np.asarray(values, float) for name, values in observed.items() if name != mask}
    if mask not in observed:
        return arrays
    present = np.asarray(observed[mask])[None]
    return {name: np.where(_there(present, values[None])[0], values, np.nan) for name, values in arrays.items()}


def _there(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which numbers of an array (n, elements, ...) a mask (n, elements) leaves; all of one that has other elements."""
    if values.shape[: mask.ndim] != mask.shape:
        return np.ones(values.shape, bool)
    return np.broadcast_to(mask.astype(bool).reshape(*mask.shape, *[1] * (values.ndim - mask.ndim)), values.shape)


def _fan(simulated: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray], mask: str) -> pd.DataFrame:
    """Quantiles of the simulations, one row a point."""
    usable, _ = _usable(simulated, observed, mask)
    levels = list(_QUANTILES.values())
    quantiles = np.full((len(levels), usable.shape[1]), np.nan)
    known = np.isfinite(usable).any(axis=0)
    quantiles[:, known] = np.nanquantile(usable[:, known], levels, axis=0)
    return pd.DataFrame(dict(zip(_QUANTILES, quantiles, strict=True)))


def _comparison(simulated: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray], mask: str) -> dict[str, float]:
    """How extreme the observation is among simulations that are exchangeable with it where all is right."""
    usable, left_out = _usable(simulated, observed, mask)
    target = _flat(observed)
    # Where simulations lack elements of their own, what the observation lacks is no less part of its pattern.
    seen = np.isfinite(target) | np.isnan(usable).any(axis=0)
    p_value = _envelope_p_value(usable[:, seen], target[seen]) if len(usable) else np.nan
    return {"p_value": p_value, "compared": len(usable), "left_out": left_out}


def _verdict(table: pd.DataFrame, otherwise: str, compared_with: str, found: str) -> pd.DataFrame:
    seen = table.dropna(subset=["observed", "q05"])
    inside = float(seen["observed"].between(seen["q05"], seen["q95"]).mean())
    p_value, compared, left_out = table[["p_value", "compared", "left_out"]].iloc[0]
    if compared < FEWEST:
        word = verdicts.DOUBTFUL if left_out else verdicts.UNINFORMATIVE
        reason = f"{compared:.0f} {compared_with} to compare with, where a verdict takes {FEWEST}"
    else:
        word = otherwise if p_value <= verdicts.FALSE_ALARMS else verdicts.PASS
        reason = f"{verdicts.percent(inside)} of the points lie within the central 90 %; {found}"
    if left_out:
        reason += f"; {left_out:.0f} failed simulations left out"
    return pd.DataFrame([(verdicts.ALL_PARAMETERS, inside, p_value, word, reason)], columns=verdicts.COLUMNS)


def _envelope_p_value(simulated: np.ndarray, observed: np.ndarray) -> float:
    """Share of the data sets, the observation among them, that are at least as extreme as it is.

    The most extreme has the largest deviation anywhere; of those with equal ones, as counts often have, the one whose
    second largest is larger, and so on. A deviation from a point's median is measured by the distance to its 5 % or
    95 % quantile, on the same side. What is missing does not deviate.
    """
    everything = np.vstack([observed, simulated])
    everything = everything[:, np.isfinite(everything).any(axis=0)]
    low, median, high = np.nanquantile(everything, [0.05, 0.5, 0.95], axis=0)
    spread = np.nanstd(everything, axis=0)
    below, above = (np.where(side > 0, side, spread) for side in (median - low, high - median))
    deviation = everything - median
    scale = np.where(deviation < 0, below, above)
    there = np.isfinite(deviation) & (scale > 0)
    extremity = np.divide(np.abs(deviation), scale, out=np.zeros_like(deviation), where=there)
    extremity.sort(axis=1)
    apart = (extremity - extremity[0])[:, ::-1]
    first = np.argmax(apart != 0, axis=1)
    return float(np.mean(apart[np.arange(len(apart)), first] >= 0))
