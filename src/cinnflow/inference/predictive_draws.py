"""Which posterior draw each predictive simulation takes its parameters from."""

from __future__ import annotations

import math

import numpy as np


def is_repeated(simulations: np.ndarray) -> np.ndarray:
    """Which predictive simulations all take the same posterior draw: every second (n,)."""
    return np.asarray(simulations) % 2 == 1


def predictive_rows(simulations: np.ndarray, draws: int) -> np.ndarray:
    """Which posterior draw each predictive simulation takes its parameters from.

    Half of them, for figures and the verdict of the predictive check, spread evenly over the draws. The others, for the
    verdict too, all take the first one. (Draws are independent, so that the first is as good as any; the study's seed
    decides what it is.) The two kinds alternate, so that there are as many of each, however many batches they make.
    None depends on how many are wanted, so that more of them only add some.

    Args:
        simulations: numbers of the simulations (n,).
        draws: how many draws there are.
    """
    simulations = np.asarray(simulations)
    # Steps of the golden section: any number of them is spread evenly, and none falls on another before all are taken.
    step = next(step for step in range(max(1, round(0.618 * draws)), 2 * draws + 1) if math.gcd(step, draws) == 1)
    return np.where(is_repeated(simulations), 0, simulations // 2 * step % draws)


def one_for_each_draw(ok: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws that a simulation for figures succeeded with, and the number of the first such simulation of each.

    Args:
        ok: which simulations succeeded (n,).
        draws: how many draws there are.
    """
    spread = np.flatnonzero(ok & ~is_repeated(np.arange(len(ok))))
    rows, first = np.unique(predictive_rows(spread, draws), return_index=True)
    return rows, spread[first]
