"""A few trial simulations: does the model work, what does it give, and how long does it take?"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinnflow.simulation.context import Context
from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.simulation.padding import MaxLength, common_length, varying
from cinnflow.simulation.parameter_faults import PRIOR_DRAWS
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.workers import Limits, Task, run_all

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
        lengths: names of contexts that are the length of the arrays that vary.
        seconds: median time of a simulation.
        failures: outcomes of those that failed, by their number.
        problems: what else is wrong with the model, in sentences.
        regime: the training regime that the simulator's speed calls for.
    """

    theta: np.ndarray
    shapes: dict[str, tuple[int, ...]]
    lengths: list[str]
    seconds: float
    failures: dict[int, Outcome]
    problems: list[str]
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
    drawn_again = [model.draw(own) for own in seeds]
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
    if any(not np.array_equal(task.theta, again) for task, again in zip(tasks, drawn_again, strict=True)):
        differing.add("the parameters themselves")
    data = [first[index].data for index in ok]
    seconds = float(np.median([outcome.seconds for outcome in first.values()]))
    python = not isinstance(model.simulator, ExternalSimulator)
    fast = python and seconds < (FAST_BATCHED if model.simulator.batched else FAST)
    return Pilot(
        theta,
        {name: array.shape for name, array in data[0].items()} if ok else {},
        _lengths([tasks[index].context for index in ok], data, model.simulator.max_length),
        seconds,
        {index: outcome for index, outcome in first.items() if outcome.status is not Status.OK},
        [*_differing(sorted(differing)), *_unlike(data, model.simulator.max_length)],
        "online" if fast else "rounds",
    )


def _differing(names: list[str]) -> list[str]:
    """What to say where the same seed gave something else."""
    if not names:
        return []
    return [
        f"the same seed gave different output ({', '.join(names)}): a random draw does not come from rng or {{seed}}. "
        "Such simulations cannot be reproduced"
    ]


def _unlike(data: list[dict[str, np.ndarray]], max_length: MaxLength) -> list[str]:
    """What to say where simulations differ in shape, and are not declared to."""
    found = []
    for name in data[0] if data else ():
        skipped = name in varying({name: data[0][name].shape}, max_length)
        shapes = {arrays[name].shape[skipped:] if name in arrays else None for arrays in data}
        if len(shapes) > 1:
            found.append(
                f"data {name}: simulations differ in shape, {', '.join(sorted(map(str, shapes)))}. Where the first "
                "axis varies, declare the most that it can be: Simulator(..., max_length=...)"
            )
    return found


def _lengths(contexts: list[Context], data: list[dict[str, np.ndarray]], max_length: MaxLength) -> list[str]:
    """Names of contexts that are the length of the arrays that vary, in each simulation."""
    if not max_length or not data:
        return []
    lengths = [common_length(arrays, max_length) for arrays in data]
    named = [context.named("sim", 1) for context in contexts]
    return [name for name in named[0] if all(own[name].tolist() == [n] for own, n in zip(named, lengths, strict=True))]
