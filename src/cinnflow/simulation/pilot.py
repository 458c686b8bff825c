"""A few trial simulations: does the model work, what does it give, and how long does it take?"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.workers import Limits, Task, run_all

PRIOR_DRAWS = 1000
FAST = 1e-3
"""Seconds below which a Python simulator keeps up with training."""
FAST_BATCHED = 1e-2
"""The same for one that takes whole batches, of which a simulation alone takes most of the time of many."""


@dataclass(frozen=True)
class Pilot:
    """What trial simulations have shown.

    Args:
        theta: prior draws (draws, parameters), all within the support.
        shapes: shape of each array that a simulation gives.
        seconds: median time of a simulation.
        failures: outcomes of those that failed, by their number.
        differing: names of arrays that the same parameters and seed gave differently.
        regime: the training regime that the simulator's speed calls for.
    """

    theta: np.ndarray
    shapes: dict[str, tuple[int, ...]]
    seconds: float
    failures: dict[int, Outcome]
    differing: list[str]
    regime: str


def pilot(model: GenerativeModel, seed: int, simulations: int, timeout: float | None) -> Pilot:
    """Runs a few simulations apart from any store, each twice.

    Args:
        model: a bound generative model.
        seed: the study's seed.
        simulations: how many.
        timeout: seconds for one, None for no limit.

    Raises:
        PriorError: when a draw lies outside the support that the prior declares.
    """
    theta = model.prior(PRIOR_DRAWS, np.random.default_rng(seed))
    seeds = [simulation_seed(seed, "pilot", index) for index in range(simulations)]
    tasks = [Task(index, model.draw(own), own, model.contexts(own)[1]) for index, own in enumerate(seeds)]
    runs: list[dict[int, Outcome]] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            limits = Limits(timeout=timeout)
            ended = run_all(model.simulator, tasks, limits, Path(folder) / "work", Path(folder) / "failed")
            runs.append({task.index: outcome for task, outcome in ended})
    first, second = runs
    ok = [index for index, outcome in first.items() if outcome.status is Status.OK]
    differing = {
        name
        for index in ok
        for name, array in first[index].data.items()
        if not np.array_equal(array, second[index].data.get(name, np.nan))
    }
    seconds = float(np.median([outcome.seconds for outcome in first.values()]))
    python = not isinstance(model.simulator, ExternalSimulator)
    fast = python and seconds < (FAST_BATCHED if model.simulator.batched else FAST)
    return Pilot(
        theta,
        {name: array.shape for name, array in first[ok[0]].data.items()} if ok else {},
        seconds,
        {index: outcome for index, outcome in first.items() if outcome.status is not Status.OK},
        sorted(differing),
        "online" if fast else "rounds",
    )
