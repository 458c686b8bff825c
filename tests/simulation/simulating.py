"""Runs simulators as a batch does, and finds the processes that they leave."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.outcome import Outcome
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits, Task, run_all
from waiting import is_alive


def simulate(
    simulator: Simulator | ExternalSimulator,
    folder: Path,
    thetas: Sequence[Sequence[float]] = ((1.0,),),
    names: Sequence[str] = ("beta",),
    **limits: object,
) -> list[Outcome]:
    """The outcomes of simulations with these parameters and the seeds 0, 1, ..."""
    simulator.bind(names, folder)
    tasks = [Task(index, np.array(theta, float), index) for index, theta in enumerate(thetas)]
    ended = run_all(simulator, tasks, Limits(**limits), folder / "work", folder / "failed")
    outcomes = {task.index: outcome for task, outcome in ended}
    return [outcomes[index] for index in range(len(thetas))]


def processes_of(folder: Path) -> list[str]:
    """Command lines of the running processes that name a folder, or work in it, this one's apart."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid() and is_alive(int(process.name)):
            try:
                command = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if str(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                    found.append(command)
            except OSError:
                continue
    return found
