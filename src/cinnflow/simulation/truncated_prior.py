"""Parameters from a prior that is truncated to a region, by rejection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.prior import PriorError
from cinnflow.simulation.seeds import generator

Inside = Callable[[np.ndarray], np.ndarray]
"""Whether parameters (n, parameters) lie in a region (n,)."""

_AT_ONCE = 4096
"""Draws of the prior that the region sees at once."""
_MOST_EACH = 300_000
"""Draws for one simulation: a region that holds 1e-4 of the prior, the least that is made, is missed once in 1e13."""


def draw_truncated(
    model: GenerativeModel,
    seeds: Sequence[int],
    inside: Inside,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> np.ndarray:
    """Parameters of simulations, from the prior truncated to a region.

    Each simulation draws from its own stream until a draw lies inside: what it gets depends on its seed and on the
    region, and not on which others are drawn beside it.

    Args:
        model: a bound generative model.
        seeds: of the simulations.
        inside: the region.
        progress: called with how many are found, and how many draws of the prior that took.

    Returns:
        Parameters (simulations, parameters).

    Raises:
        PriorError: where the prior, with the context of one of the simulations, does not reach the region.
    """
    theta = np.empty((len(seeds), len(model.prior.names)))
    streams = [(generator(seed, "prior"), model.contexts(seed)[0]) for seed in seeds]
    waiting, drawn, each = np.arange(len(seeds)), 0, 0
    while len(waiting):
        tries = max(1, _AT_ONCE // len(waiting))
        candidates = np.array(
            [
                [model.prior(1, rng, context)[0] for _ in range(tries)]
                for rng, context in (streams[index] for index in waiting)
            ]
        )
        found = inside(candidates.reshape(-1, theta.shape[1])).reshape(candidates.shape[:2])
        ended, first = found.any(axis=1), found.argmax(axis=1)
        theta[waiting[ended]] = candidates[ended, first[ended]]
        waiting, drawn, each = waiting[~ended], drawn + found.size, each + tries
        progress(len(seeds) - len(waiting), drawn)
        if len(waiting) and each >= _MOST_EACH:
            raise PriorError(
                f"{len(waiting)} of {len(seeds)} simulations found no parameters within the truncated prior, in {each} "
                "draws each: the prior does not reach there with their contexts. Leave out simulations.proposal and "
                "simulations.observation, or let the simulator alone have a context"
            )
    return theta
