"""Prior sensitivity: what the posterior of an observation would be under other priors, by weighting its draws.

Reference:
    Kallioinen, Paananen, Bürkner and Vehtari, Detecting and diagnosing prior and likelihood sensitivity with
    power-scaling, 2024, arXiv:2107.14054; Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling,
    2024, arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cinnflow.diagnostics import style, verdicts
from cinnflow.diagnostics.arviz_import import import_arviz

TITLE = "Prior sensitivity"
CAPTION = (
    "Median and central 90 % interval of each parameter under the study's prior (top) and under each of the other "
    "priors that the model file names, without any new simulation: the draws are weighted by the ratio of the two "
    "priors' densities, smoothed in the tail. Where a few draws carry nearly all of the weight (grey), the draws do "
    "not reach the posterior under that prior, and what is drawn here is not to be relied on. A prior can be judged "
    "only where the study's own has draws: what it allows beyond, such as wider bounds, is not seen."
)
ADVICE = (
    "The draws do not reach the posterior under that prior: it takes a fit of its own, with that prior in the model "
    "file."
)

STUDY = "this study's"
_HIGHEST_K = 0.7
_FEWEST_EVEN = 0.5
_FEWEST = 100
"""Effective draws below which an interval's ends are a few draws, however even their weights are."""


def compute(draws: np.ndarray, log_ratios: Mapping[str, np.ndarray], names: Sequence[str]) -> pd.DataFrame:
    """Posterior of one observation under each prior.

    Args:
        draws: posterior draws (draws, parameters).
        log_ratios: by the name of each other prior, log(its density / the prior's density) at each draw (draws,), up to
            a constant; −inf where the other prior excludes a draw.
        names: the parameters' names.

    Returns:
        One row a prior, the study's own first, and parameter: prior, parameter, mean, sd, q05, q50, q95, shift (of the
        mean, in sd under the study's prior), effective_draws, pareto_k, draws; the last three are the prior's.

    Raises:
        ValueError: when shapes contradict each other, or a ratio is NaN or +inf, or −inf everywhere.
    """
    if draws.ndim != 2 or draws.shape[1] != len(names):
        raise ValueError(f"draws take the shape (draws, {len(names)}), got {draws.shape}")
    centre, spread = draws.mean(axis=0), draws.std(axis=0, ddof=1)
    tables = []
    for prior, log_ratio in {STUDY: np.zeros(len(draws)), **log_ratios}.items():
        weights, pareto_k = _weights(prior, np.asarray(log_ratio, float), len(draws))
        mean = weights @ draws
        low, median, high = (_quantile(draws, weights, level) for level in (0.05, 0.5, 0.95))
        shift = np.divide(mean - centre, spread, out=np.zeros_like(mean), where=spread > 0)
        columns = {"mean": mean, "sd": np.sqrt(weights @ (draws - mean) ** 2), "q05": low, "q50": median, "q95": high}
        tables.append(
            pd.DataFrame({"prior": prior, "parameter": list(names), **columns, "shift": shift}).assign(
                effective_draws=1 / np.sum(weights**2), pareto_k=pareto_k, draws=len(draws)
            )
        )
    return pd.concat(tables, ignore_index=True)


def plot(table: pd.DataFrame) -> Figure:
    """Intervals under each prior, a panel for each parameter."""
    groups = list(table.groupby("parameter", sort=False))
    priors = list(table["prior"].unique())
    figure, panels = style.grid(len(groups), width=2.8, height=0.9 + 0.28 * len(priors))
    for index, ((name, rows), axis) in enumerate(zip(groups, panels[0], strict=True)):
        for height, row in enumerate(rows.itertuples()):
            colour = style.INK if row.prior == STUDY else style.GREY if _is_uneven(row) else style.BLUE
            axis.plot([row.q05, row.q95], [height, height], color=colour, lw=2, solid_capstyle="butt")
            axis.plot(row.q50, height, "o", color=colour, ms=6)
        axis.axvline(rows["q50"].iloc[0], color=style.BAND, lw=1, zorder=0)
        axis.set_ylim(len(priors) - 0.4, -0.6)
        axis.set_yticks(range(len(priors)), priors if index % style.columns(len(groups)) == 0 else [])
        style.few_ticks(axis, 3)
        style.title(axis, name)
    return figure


def verdict(table: pd.DataFrame) -> pd.DataFrame:
    """Says for each other prior how far it moves the posterior; the value is the largest shift, in posterior sd."""
    judged = []
    for prior, rows in table[table["prior"] != STUDY].groupby("prior", sort=False):
        first = rows.iloc[0]
        most = rows.loc[rows["shift"].abs().idxmax()]
        weight = f"{first['effective_draws']:.0f} effective draws of {first['draws']}, Pareto k {first['pareto_k']:.2f}"
        moved = f"the mean of {most['parameter']} moves the most, by {most['shift']:+.2f} sd".replace("-", "−")
        word, reason = verdicts.PASS, f"{moved} ({weight})"
        if _is_uneven(first):
            word = verdicts.DOUBTFUL
            reason = f"too uneven to tell: a few draws carry nearly all of the weight ({weight})"
        judged.append((prior, abs(most["shift"]), np.nan, word, reason))
    return pd.DataFrame(judged, columns=verdicts.COLUMNS)


def _weights(prior: str, log_ratio: np.ndarray, draws: int) -> tuple[np.ndarray, float]:
    """Weights (draws,) that sum to one, and Pareto k: above 0.7, the largest of them are all that counts."""
    if log_ratio.shape != (draws,) or np.isnan(log_ratio).any() or np.isposinf(log_ratio).any():
        raise ValueError(
            f"the prior {prior!r} takes one log ratio of densities for each of {draws} draws, −inf where it excludes "
            f"one: got the shape {log_ratio.shape}, {np.sum(~np.isfinite(log_ratio))} of them not finite"
        )
    allowed = np.isfinite(log_ratio)
    if not allowed.any():
        raise ValueError(
            f"the prior {prior!r} excludes every posterior draw: nothing can be said of the posterior there"
        )
    weights, pareto_k = np.zeros(draws), 0.0
    if np.ptp(log_ratio[allowed]) > 0:
        log_weights, k = import_arviz().psislw(log_ratio[allowed])  # here, since the import takes seconds
        weights[allowed], pareto_k = np.exp(log_weights), float(k)
    else:
        weights[allowed] = 1.0
    return weights / weights.sum(), pareto_k


def _is_uneven(row: pd.Series) -> bool:
    """Whether the weights say nothing; weights of a few values have no tail to fit, but may be even."""
    half = _FEWEST_EVEN * row.draws
    return row.effective_draws < min(_FEWEST, half) or (row.pareto_k > _HIGHEST_K and row.effective_draws < half)


def _quantile(draws: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """Weighted quantile of each column (parameters,)."""
    order = np.argsort(draws, axis=0)
    position = np.argmax(np.cumsum(weights[order], axis=0) >= level * (1 - 1e-12), axis=0)
    columns = np.arange(draws.shape[1])
    return draws[order[position, columns], columns]
