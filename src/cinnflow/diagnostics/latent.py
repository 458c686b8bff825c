"""Latent space: the true parameters, mapped by the network, should be independent standard normal."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from cinnflow.diagnostics import style, uniformity, verdicts

TITLE = "Latent space"
CAPTION = (
    "The true parameters of each held-out simulation, mapped to the network's latent space given their data. A right"
    " posterior makes them independent and standard normal: a round cloud, with 50 % of the dots in the inner circle"
    " and 95 % in the outer one. Holes, tails, tilts or several clumps show what the network could not fit. The members"
    " of an ensemble are shown in colours of their own; their mixture has no latent space, and so no verdict here."
)
ADVICE = (
    "The network does not reach the posterior's shape: more coupling layers, `coupling: spline`, more simulations, or"
    " an ensemble."
)

_ALL_PAIRS_UP_TO = 5
_SHARES = (0.5, 0.95)


def compute(latent: np.ndarray, *, members: int = 1) -> pd.DataFrame:
    """Latent coordinates of the true parameters.

    Args:
        latent: (members × data sets, parameters), without a unit; all data sets of one member before the next.
        members: networks in the ensemble.

    Returns:
        One row a member and data set: member, data_set, z1, z2, ...; rows that are not finite stay, as they are.

    Raises:
        ValueError: when the shape is another, or fewer than two rows are finite.
    """
    if latent.ndim != 2 or np.isfinite(latent).all(axis=1).sum() < 2:
        raise ValueError(
            f"latent takes the shape (data sets, parameters), two finite rows at least: got {latent.shape}"
        )
    table = pd.DataFrame(latent, columns=[f"z{index + 1}" for index in range(latent.shape[1])])
    member, data_set = np.divmod(np.arange(len(latent)), len(latent) // members)
    table.insert(0, "data_set", data_set)
    table.insert(0, "member", member)
    return table


def plot(table: pd.DataFrame) -> Figure:
    """All pairs of coordinates where there are few; else each with the next; a histogram for a single one."""
    groups = [(member, _finite(rows)[0]) for member, rows in table.groupby("member")]
    colours = [style.MEMBERS[index % len(style.MEMBERS)] for index in range(len(groups))]
    names = list(groups[0][1].columns)
    if len(names) == 1:
        figure, panels = style.grid(1, width=4, height=2.8)
        axis, x = panels[0, 0], np.linspace(-4, 4, 200)
        for (_, values), colour in zip(groups, colours, strict=True):
            axis.hist(values[names[0]], bins=np.linspace(-4, 4, 33), density=True, color=colour, alpha=0.5)
        axis.plot(x, stats.norm.pdf(x), color=style.INK, lw=1.4)
        axis.set(xlabel=names[0], yticks=[])
        return figure
    pairs = list(combinations(names, 2)) if len(names) <= _ALL_PAIRS_UP_TO else list(pairwise(names))
    figure, panels = style.grid(len(pairs), width=2.2, height=2.2)
    angle = np.linspace(0, 2 * np.pi, 200)
    largest = max(3.6, *(min(8.0, 1.05 * float(np.abs(values.to_numpy()).max())) for _, values in groups))
    for (first, second), axis in zip(pairs, panels[0], strict=True):
        for (member, values), colour in zip(groups, colours, strict=True):
            axis.scatter(values[first], values[second], s=4, color=colour, alpha=0.35, lw=0, label=f"member {member}")
        for share in _SHARES:
            radius = np.sqrt(stats.chi2.ppf(share, 2))
            axis.plot(radius * np.cos(angle), radius * np.sin(angle), color=style.INK, lw=1)
        axis.set(xlim=(-largest, largest), ylim=(-largest, largest), aspect="equal")
        axis.set_xlabel(first, fontsize=style.LABEL_SIZE)
        axis.set_ylabel(second, fontsize=style.LABEL_SIZE)
    if len(groups) > 1:
        style.legend(figure, panels[0, :1], markerscale=3)
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Fails a coordinate that is not standard normal, or a squared length that is not chi-squared; value: its sd.

    An ensemble gets no row: its members may be wrong where their mixture is right.
    """
    if table["member"].nunique() > 1:
        return pd.DataFrame([], columns=verdicts.COLUMNS)
    values, left_out = _finite(table)
    scores = {name: stats.norm.cdf(values[name]) for name in values}
    scores[verdicts.ALL_PARAMETERS] = stats.chi2.cdf((values**2).sum(axis=1), values.shape[1])
    spread = values.std(ddof=1).to_dict() | {verdicts.ALL_PARAMETERS: float(np.sqrt((values**2).to_numpy().mean()))}
    limit = verdicts.threshold(len(scores))
    judged = []
    for name, score in scores.items():
        p_value = uniformity.p_value(score)
        word = verdicts.FAIL if p_value <= limit else verdicts.PASS
        reason = f"p = {p_value:.2g}, limit {limit:.2g}"
        if word == verdicts.FAIL:
            what = "squared length is not chi-squared" if name == verdicts.ALL_PARAMETERS else "not standard normal"
            reason = f"{what} ({reason})"
        # A parameter may be called z1, too.
        label = name if name == verdicts.ALL_PARAMETERS else f"latent {name}"
        judged.append(
            (label, spread[name], min(1.0, p_value * len(scores)), word, reason + verdicts.left_out_note(left_out))
        )
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _finite(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    values = table.drop(columns=["member", "data_set"])
    usable = np.isfinite(values).all(axis=1)
    return values[usable].reset_index(drop=True), int(np.sum(~usable))
