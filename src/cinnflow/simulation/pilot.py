"""A few trial simulations: does the model work, what does it give, and how long does it take?"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from cinnflow.simulation.context import Context
from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.simulation.padding import MaxLength, common_length, varying
from cinnflow.simulation.parameter_faults import PRIOR_DRAWS
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits, Task, run_all

FAST = 1e-3
"""Seconds below which a Python simulator keeps up with training."""
FAST_BATCHED = 1e-2
"""The same for one that takes whole batches, of which a simulation alone takes most of the time of many."""
CLOCK_STEP = 1.1
"""Seconds after which a program that takes its seed from the clock, in whole seconds, takes another."""
FILE_TIME_STEP = 0.02
"""Seconds after which a file that is written again has another time, however coarse the system keeps it."""


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
        remarks: what may be meant so, or not, likewise.
        regime: the training regime that the simulator's speed calls for.
    """

    theta: np.ndarray
    shapes: dict[str, tuple[int, ...]]
    lengths: list[str]
    seconds: float
    failures: dict[int, Outcome]
    problems: list[str]
    remarks: list[str]
    regime: str


def pilot(
    model: GenerativeModel,
    seed: int,
    simulations: int,
    timeout: float | None,
    again: GenerativeModel | None = None,
) -> Pilot:
    """Runs a few simulations apart from any store, each twice, and with another seed where that is needed.

    Args:
        model: a bound generative model.
        seed: the study's seed.
        simulations: how many.
        timeout: seconds for one, None for no limit.
        again: the model as another process loads it, for the second time; None: the same one.

    Raises:
        PriorError: when a draw lies outside the support that the prior declares.
    """
    again = again or model
    theta = model.prior(PRIOR_DRAWS, np.random.default_rng(seed))
    seeds = [simulation_seed(seed, "pilot", index) for index in range(simulations)]
    tasks = [Task(index, model.draw(own), own, model.contexts(own)[1]) for index, own in enumerate(seeds)]
    drawn_again = [again.draw(own) for own in seeds]
    python = not isinstance(model.simulator, ExternalSimulator)
    limits = Limits(timeout=timeout)
    start = time.monotonic()
    first, written = _run_watched(model.simulator, tasks, limits)
    ok = [index for index, outcome in first.items() if outcome.status is Status.OK]
    reseeded = [replace(tasks[index], seed=simulation_seed(seed, "pilot, other seed", index)) for index in ok]
    seed_matters = _any_differs(first, model.simulator, reseeded, limits)
    if not python:
        time.sleep(max(0.0, start + CLOCK_STEP - time.monotonic()))
    # In reverse: a generator that outlives a simulation then gives each another part of its stream than before.
    second, written_again = _run_watched(again.simulator, tasks[::-1], limits)
    differing = {
        name
        for index in ok
        for name, array in first[index].data.items()
        if not np.array_equal(array, second[index].data.get(name, np.nan))
    }
    without_chance = len(ok) > 1 and not seed_matters and not differing
    if any(not np.array_equal(task.theta, again) for task, again in zip(tasks, drawn_again, strict=True)):
        differing.add("the parameters themselves")
    data = [first[index].data for index in ok]
    seconds = float(np.median([outcome.seconds for outcome in first.values()]))
    fast = python and seconds < (FAST_BATCHED if model.simulator.batched else FAST)
    return Pilot(
        theta,
        {name: array.shape for name, array in data[0].items()} if ok else {},
        _lengths([tasks[index].context for index in ok], data, model.simulator.max_length),
        seconds,
        {index: outcome for index, outcome in first.items() if outcome.status is not Status.OK},
        [
            *_differing(sorted(differing)),
            *(_overwriting(written, written_again) if python else ()),
            *_unlike(data, model.simulator.max_length),
        ],
        [*([_without_chance(len(ok))] if without_chance else []), *([] if python else _undeclared(model.simulator))],
        "online" if fast else "rounds",
    )


def _run(
    simulator: Simulator | ExternalSimulator, tasks: Sequence[Task], limits: Limits
) -> Iterator[tuple[int, Outcome]]:
    """Runs simulations one after the other, and yields the number of each with its outcome."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(run_all(simulator, tasks, limits, Path(folder) / "work", Path(folder) / "failed")) as ended,
    ):
        for task, outcome in ended:
            yield task.index, outcome


def _run_watched(
    simulator: Simulator | ExternalSimulator, tasks: Sequence[Task], limits: Limits
) -> tuple[dict[int, Outcome], dict[str, list[int]]]:
    """Runs simulations: their outcomes, and the size of each file of the current folder after each that changed it."""
    outcomes, sizes, before = {}, defaultdict(list), _files()
    for index, outcome in _run(simulator, tasks, limits):
        outcomes[index] = outcome
        after = _files()
        changed = [name for name, state in after.items() if state != before.get(name)]
        for name in changed:
            sizes[name].append(after[name][0])
        if changed:
            time.sleep(FILE_TIME_STEP)
        before = after
    return outcomes, sizes


def _files() -> dict[str, tuple[int, int, int]]:
    """The files of the current folder that are not hidden, each with its size and what else tells that it changed."""
    found = {}
    with os.scandir() as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_file() and not entry.name.startswith("."):
                    state = entry.stat()
                    found[entry.name] = (state.st_size, state.st_mtime_ns, state.st_ino)
    return found


def _any_differs(
    first: dict[int, Outcome], simulator: Simulator | ExternalSimulator, tasks: Sequence[Task], limits: Limits
) -> bool:
    """Whether any simulation gives other data than at first; those after it do not run."""
    with closing(_run(simulator, tasks, limits)) as ended:
        return any(not _same(outcome.data, first[index].data) for index, outcome in ended)


def _same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(array, other[name]) for name, array in one.items())


def _without_chance(vectors: int) -> str:
    """What to say where the seed has no effect."""
    return (
        f"the output does not depend on the seed: {vectors} parameter vectors each gave the same data with two seeds. "
        "That is right for a simulator without noise. Where there should be noise, it has to come from rng or {seed}, "
        "not from a seed of the simulator's own"
    )


def _undeclared(simulator: ExternalSimulator) -> list[str]:
    """What to say of files that the command names, and that nothing watches."""
    if not simulator.undeclared:
        return []
    return [
        f"the command names {', '.join(simulator.undeclared)} by an absolute path: an edit would not be noticed, and "
        "its simulations would join those of before. Name it by a path from the model file's folder, or in files=[...]"
    ]


def _overwriting(written: dict[str, list[int]], again: dict[str, list[int]]) -> list[str]:
    """What to say of files in the current folder that one simulation after the other has written.

    Args:
        written: sizes of each file after each simulation that changed it.
        again: the same of the second pass.
    """
    # What somebody else does there meanwhile hardly changes a file that often, unless it is a log, which only grows.
    names = [
        name
        for name, sizes in sorted(written.items())
        if min(len(sizes), len(again.get(name, ()))) > 1
        and not all(size < next_size for size, next_size in pairwise([*sizes, *again[name]]))
    ]
    if not names:
        return []
    return [
        f"the simulator writes {', '.join(names)} into the current folder, where simulations that run at the same time "
        "overwrite each other's files: give each a folder of its own, with tempfile.TemporaryDirectory()"
    ]


def _differing(names: list[str]) -> list[str]:
    """What to say where the same seed gave something else."""
    if not names:
        return []
    return [
        f"the same seed gave different output ({', '.join(names)}): a random draw does not come from rng or {{seed}}, "
        "or something is kept from one simulation to the next. Such simulations cannot be reproduced"
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
