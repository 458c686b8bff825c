"""Posterior predictive check: do simulations from the posterior look like the observation?

Reference:
    Gelman, Meng and Stern, Posterior predictive assessment of model fitness via realized discrepancies, 1996; the
    simultaneous envelope: Myllymäki, Mrkvička, Grabarnik, Seijo and Hahn, Global envelope tests for spatial
    processes, 2017, arXiv:1307.0239.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cinnflow.diagnostics import style, verdicts

TITLE = "Posterior predictive check"
CAPTION = (
    "Data simulated with parameters from the posterior (blue: central 50 % and 90 % at each point, line: median) and"
    " the real observation (dots; orange where it lies outside the 90 %). One point in ten outside is expected. The "
    "verdict compares the observation with the simulations at all points at once; it fails when fewer than 5 % of "
    "the simulations are as extreme anywhere."
)

_QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
_MAX_PANELS = 20
_DOTS, _BARS = 80, 3


def compute(simulated: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Quantiles of the simulations at each point of the observation.

    Args:
        simulated: posterior predictive data by name, each (simulations, ...).
        observed: the observation by name, each shaped like one simulation.

    Returns:
        One row a point: array, index (along the first axis), column (along the others), observed, q05 ... q95, and
        p_value (share of data sets as extreme as the observation, over all points), simulations, left_out.

    Raises:
        ValueError: when a name is missing or shapes differ.
    """
    if not observed:
        raise ValueError("the observation has no array")
    for name, values in observed.items():
        got = np.shape(simulated[name])[1:] if name in simulated else None
        if got != np.shape(values):
            raise ValueError(f"{name!r} is observed with the shape {np.shape(values)}, simulated with {got}")
    flat = np.concatenate(
        [np.reshape(simulated[name], (len(simulated[name]), -1)).astype(float) for name in observed], axis=1
    )
    target = np.concatenate([np.ravel(values).astype(float) for values in observed.values()])
    usable = np.isfinite(flat).all(axis=1)
    seen = np.isfinite(target)
    if not seen.any():
        raise ValueError("no point of the observation is finite")
    if usable.sum() < 2:
        raise ValueError(f"{usable.sum()} of {len(flat)} simulations are finite: a predictive check needs two at least")
    places = []
    for name, values in observed.items():
        size, first = np.size(values), np.shape(values)[0] if np.ndim(values) else 1
        index, column = np.divmod(np.arange(size), size // first)
        places.append(pd.DataFrame({"array": name, "index": index, "column": column}))
    table = pd.concat(places, ignore_index=True).assign(observed=target)
    for name, level in _QUANTILES.items():
        table[name] = np.quantile(flat[usable], level, axis=0)
    return table.assign(
        p_value=_envelope_p_value(flat[usable][:, seen], target[seen]),
        simulations=int(usable.sum()),
        left_out=int(np.sum(~usable)),
    )


def plot(table: pd.DataFrame) -> Figure:
    """Fan of the simulations with the observation over it: a panel for each array, and each of its columns."""
    groups = list(table.groupby(["array", "column"], sort=False))
    shown = groups[:_MAX_PANELS]
    figure, panels = style.grid(
        len(shown), width=5.6 if len(shown) == 1 else 3.2, height=3.4 if len(shown) == 1 else 2.4
    )
    for ((array, column), rows), axis in zip(shown, panels[0], strict=True):
        several = table.loc[table["array"] == array, "column"].nunique() > 1
        _draw_fan(axis, rows)
        if len(shown) > 1:
            style.title(axis, f"{array} [{column}]" if several else str(array))
    if len(groups) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(groups)} series", fontsize=style.LABEL_SIZE, x=0.02, ha="left")
    style.label_outer(panels[0], "index", "value" if len(shown) > 1 else str(shown[0][0][0]))
    handles = {
        label: handle for axis in panels[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper right",
        ncols=len(handles),
        fontsize=style.TICK_SIZE,
        frameon=False,
    )
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Judges the observation as a whole; the value is the share of its points inside the central 90 %."""
    seen = table.dropna(subset="observed")
    inside = float(seen["observed"].between(seen["q05"], seen["q95"]).mean())
    p_value, left_out = float(table["p_value"].iloc[0]), int(table["left_out"].iloc[0])
    word = verdicts.FAIL if p_value <= verdicts.FALSE_ALARMS else verdicts.PASS
    reason = f"{inside:.0%} of the points lie within the central 90 %; {p_value:.1%} of the data sets are as extreme"
    if left_out:
        reason += f"; {left_out} failed simulations left out"
    return pd.DataFrame([(verdicts.ALL_PARAMETERS, inside, p_value, word, reason)], columns=verdicts.COLUMNS)


def _envelope_p_value(simulated: np.ndarray, observed: np.ndarray) -> float:
    """Share of the data sets, the observation among them, whose largest deviation is at least the observation's.

    A deviation from a point's median is measured by the distance to its 5 % or 95 % quantile, on the same side.
    """
    everything = np.vstack([observed, simulated])
    low, median, high = np.quantile(everything, [0.05, 0.5, 0.95], axis=0)
    spread = everything.std(axis=0)
    below, above = (np.where(side > 0, side, spread) for side in (median - low, high - median))
    deviation = everything - median
    scale = np.where(deviation < 0, below, above)
    largest = np.divide(np.abs(deviation), scale, out=np.zeros_like(deviation), where=scale > 0).max(axis=1)
    return float(np.mean(largest >= largest[0]))


def _draw_fan(axis: Axes, rows: pd.DataFrame) -> None:
    x = rows["index"].to_numpy()
    if len(x) > _BARS:
        axis.fill_between(x, rows["q05"], rows["q95"], color=style.BLUE, alpha=0.18, lw=0, label="90 %")
        axis.fill_between(x, rows["q25"], rows["q75"], color=style.BLUE, alpha=0.32, lw=0, label="50 %")
        axis.plot(x, rows["q50"], color=style.BLUE, lw=1.4, label="median")
    else:
        axis.vlines(x, rows["q05"], rows["q95"], color=style.BLUE, alpha=0.3, lw=5, label="90 %")
        axis.vlines(x, rows["q25"], rows["q75"], color=style.BLUE, alpha=0.6, lw=9, label="50 %")
        axis.set_xlim(x.min() - 0.7, x.max() + 0.7)
    rows = rows.dropna(subset="observed")
    outside = ~rows["observed"].between(rows["q05"], rows["q95"]).to_numpy()
    size = 4.5 if len(x) <= _DOTS else 2.0
    for which, colour, label in ((~outside, style.INK, "observed"), (outside, style.RED, "observed, outside 90 %")):
        if which.any():
            axis.plot(
                rows["index"][which],
                rows["observed"][which],
                "o",
                ms=size,
                color=colour,
                mec="white",
                mew=0.5,
                label=label,
            )
    style.few_ticks(axis)
    if len(x) <= _BARS:
        axis.set_xticks(x)
