"""Local calibration: are ranks uniform for all kinds of data, or only on average over them?

A posterior that is too narrow for short data sets and too wide for long ones has uniform ranks over both. Where it is
right, ranks depend on nothing that the data tell: neither on contexts and lengths, nor on where the posterior lies and
how wide it is.

Reference:
    Zhao, Dalmasso, Izbicki and Lee, Diagnostics for conditional density models and Bayesian inference algorithms, 2021,
    arXiv:2102.10473; Modrák et al., 2023, arXiv:2211.02383, on ranks that depend on the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, verdicts
from cinnflow.diagnostics.calibration import judged_by
from cinnflow.diagnostics.marginals import Marginal, fractional_ranks, marginals

TITLE = "Local calibration"
CAPTION = (
    "Calibration where data differ: in fifths of the held-out simulations, by where the posterior lies (its mean), how "
    "wide it is (its standard deviation), how many elements the data have, or by a context. Each panel shows the one "
    "of these that a parameter's calibration depends on most; the table has all. Blue: the share of true values above "
    "the posterior's median; above a half, the posterior is too low there. Orange: the share within its central half; "
    "below a half, the posterior is too narrow there. Of a right posterior, 99 % of the points lie in the grey band. "
    "The verdict tests whether ranks change with any of them, however they are on average."
)
ADVICE = (
    "The posterior is right on average, and wrong for some data: more simulations help, most of all where it is wrong "
    "(contexts and lengths that are rare can be drawn more often), then a larger summary network, or an ensemble."
)

_FIFTHS = 5
_BAND = 0.99
_MOST_ENTRIES = 4
"""Entries of a context that are looked at one by one; of longer ones it is their mean."""


def compute(
    draws: np.ndarray,
    truths: np.ndarray,
    names: Sequence[str],
    *,
    contexts: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Bias and width of each parameter's posterior in fifths of the data sets, by everything that may tell them apart.

    One half of the draws says where a posterior lies and how wide it is; true values are ranked among the other half,
    or ranks would depend on the chance in the former.

    Args:
        draws: posterior draws (data sets, draws, parameters).
        truths: values that the data were simulated with (data sets, parameters).
        names: the parameters' names.
        contexts: what else is known of each data set, by name, first axis the data sets.
        seed: seed of what breaks ties between ranks.

    Returns:
        One row a parameter, quantity and fifth: parameter, by (the quantity), at (its median in the fifth), above and
        inside (shares of true values above the median and in the central half), lower, upper (of a right posterior's
        shares), p_bias and p_width (that above, or inside, changes with the quantity), p_value (the smallest of the
        parameter, times how many there are), skill, informative, data_sets, left_out.

    Raises:
        ValueError: when the shapes contradict each other.
    """
    known = dict(_entries(contexts or {}, len(truths)))
    tables = []
    for index, marginal in enumerate(marginals(draws, truths, names)):
        first, second = np.array_split(marginal.draws, 2, axis=1)
        ranks = fractional_ranks(second, marginal.truths, np.random.default_rng([seed, index]))
        quantities = {"posterior mean": first.mean(axis=1), "posterior sd": first.std(axis=1)}
        quantities |= {name: values[marginal.data_sets] for name, values in known.items()}
        tables.append(_of_parameter(marginal, ranks, quantities))
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Shares above the median and in the central half, by the quantity that matters most to each parameter."""
    groups = list(table.groupby("parameter", sort=False))
    figure, panels = style.grid(len(groups), width=2.7)
    style.label_outer(panels[0], "", "share of true values")
    for (name, rows), axis in zip(groups, panels[0], strict=True):
        shown = _worst(rows)
        place = np.arange(len(shown))
        axis.fill_between(place, shown["lower"], shown["upper"], color=style.BAND, lw=0)
        axis.axhline(0.5, color=style.GREY, lw=0.8)
        axis.plot(place, shown["above"], "o-", color=style.BLUE, ms=4, lw=1.2, label="above the median")
        axis.plot(place, shown["inside"], "s-", color=style.ORANGE, ms=4, lw=1.2, label="in the central half")
        axis.set_xticks(place, [f"{value:.3g}".replace("-", "−") for value in shown["at"]])
        axis.set_xlabel(style.wrapped(shown["by"].iloc[0], 30), fontsize=style.LABEL_SIZE)
        farthest = max(0.25, 1.1 * (shown[["above", "inside", "lower", "upper"]] - 0.5).abs().max().max())
        axis.set(xlim=(-0.25, len(shown) - 0.75), ylim=(0.5 - farthest, 0.5 + farthest))
        style.title(axis, name)
    style.legend(figure, panels[0])
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a parameter whose ranks change with a quantity; its value is the largest deviation of a share from 1/2."""
    shown = [_worst(rows) for _, rows in table.groupby("parameter", sort=False)]
    first = pd.concat([rows.iloc[:1] for rows in shown], ignore_index=True)
    deviations, faults = zip(*map(_worst_place, shown), strict=True)
    return verdicts.calibration_verdict(first.assign(largest=deviations), "largest", faults)


def _entries(contexts: Mapping[str, np.ndarray], data_sets: int) -> Iterator[tuple[str, np.ndarray]]:
    """Numbers (data sets,) that contexts say of each data set, by name, each once."""
    seen: list[np.ndarray] = []
    for name, array in contexts.items():
        if len(array) != data_sets:
            raise ValueError(f"context {name!r} is of {len(array)} data sets, and the true values of {data_sets}")
        flat = np.asarray(array, dtype=float).reshape(data_sets, -1)
        if flat.shape[1] > _MOST_ENTRIES:
            found = {f"mean of {name}": flat.mean(axis=1)}
        elif flat.shape[1] == 1:
            found = {name: flat[:, 0]}
        else:
            found = {f"{name}[{entry}]": flat[:, entry] for entry in range(flat.shape[1])}
        for label, values in found.items():
            if np.ptp(values) > 0 and not any(np.array_equal(values, other) for other in seen):
                seen.append(values)
                yield label, values


def _of_parameter(marginal: Marginal, ranks: np.ndarray, quantities: Mapping[str, np.ndarray]) -> pd.DataFrame:
    above, inside = ranks > 0.5, np.abs(ranks - 0.5) < 0.25
    # Normal scores, of which the square says most of width.
    scores = stats.norm.ppf(ranks)
    tables = []
    for name, values in quantities.items():
        rows = [
            {
                "parameter": marginal.name,
                "by": name,
                "at": np.median(values[members]),
                "above": above[members].mean(),
                "inside": inside[members].mean(),
                **dict(zip(("lower", "upper"), _band(len(members)), strict=True)),
            }
            for members in _fifths(values)
        ]
        p_values = {"p_bias": _trend(values, scores), "p_width": _trend(values, scores**2)}
        tables.append(pd.DataFrame(rows).assign(**p_values))
    table = pd.concat(tables, ignore_index=True)
    smallest = table[["p_bias", "p_width"]].min().min()
    return table.assign(**judged_by(marginal, min(1.0, 2 * len(quantities) * smallest)))


def _fifths(values: np.ndarray) -> list[np.ndarray]:
    """Positions of the values in each fifth, from the lowest; equal values are in one."""
    fifth = (stats.rankdata(values, method="min") - 1) * _FIFTHS // len(values)
    return [np.flatnonzero(fifth == number) for number in np.unique(fifth)]


def _trend(values: np.ndarray, response: np.ndarray) -> float:
    """P-value of a linear and a quadratic trend of the response (n,) along the order of the values (n,), by an F-test.

    Of fewer than three different values there is no quadratic trend, and of one none at all.
    """
    order = stats.rankdata(values) / len(values)
    trends = np.stack([order, (order - order.mean()) ** 2], axis=1)[:, : len(np.unique(values)) - 1]
    if not trends.size or len(response) <= trends.shape[1] + 1:
        return 1.0
    axes, _ = np.linalg.qr(trends - trends.mean(axis=0))
    deviation = response - response.mean()
    explained, whole = np.sum((axes.T @ deviation) ** 2), np.sum(deviation**2)
    freedom = (trends.shape[1], len(response) - trends.shape[1] - 1)
    return float(stats.f.sf(explained / (whole - explained) * freedom[1] / freedom[0], *freedom))


def _band(count: int) -> tuple[float, float]:
    low, high = stats.binom.interval(_BAND, count, 0.5)
    return low / count, high / count


def _worst(rows: pd.DataFrame) -> pd.DataFrame:
    """A parameter's rows of the quantity that its ranks depend on most clearly."""
    smallest = rows[["p_bias", "p_width"]].min(axis=1)
    return rows[rows["by"] == rows.loc[smallest.idxmin(), "by"]]


def _worst_place(rows: pd.DataFrame) -> tuple[float, str]:
    """How far a share is from 1/2 where it is farthest, and what that means in words."""
    biased = rows["p_bias"].iloc[0] <= rows["p_width"].iloc[0]
    deviation = rows["above" if biased else "inside"] - 0.5
    row = rows.loc[deviation.abs().idxmax()]
    words = ("too low", "too high") if biased else ("too wide", "too narrow")
    what = words[0] if deviation[row.name] > 0 else words[1]
    fault = f"ranks change with {row['by']}: the posterior is {what} near {row['at']:.3g}"
    return float(abs(deviation[row.name])), fault
