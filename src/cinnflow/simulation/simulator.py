"""A simulator that is a Python function."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.simulation.outcome import Outcome, Status, outcome_of
from cinnflow.simulation.reaper import Reaper
from cinnflow.simulation.seeds import generator

MESSAGE_LENGTH = 2000


class Simulator:
    """A function from a parameter vector to data.

    Args:
        simulate: `simulate(theta, rng)` takes one parameter vector (parameters,) and returns an array or a dict of
            arrays; with `batched`, `theta` is (batch_size, parameters) and so is the first axis of what it returns.
            All its randomness comes from `rng`.
        batched: whether `simulate` takes a batch at a time.
        files: files that the function reads, beside the model file: their bytes are part of what a simulation means.
    """

    isolated = False
    """Whether one simulation cannot harm the process that runs it: a Python function can."""

    def __init__(self, simulate: Callable[..., Any], batched: bool = False, files: Sequence[str] = ()) -> None:
        self._simulate = simulate
        self.batched = batched
        self.files = list(files)

    def bind(self, names: Sequence[str], folder: Path) -> None:
        """Nothing to learn from the parameters' names or the model file's folder."""

    def __call__(self, theta: np.ndarray, rng: np.random.Generator) -> Any:
        """Simulates a batch in this process: theta (batch_size, parameters) to arrays of first axis batch_size."""
        if self.batched:
            return self._simulate(theta, rng)
        outputs = [self._simulate(row, rng) for row in theta]
        if isinstance(outputs[0], Mapping):
            return {name: np.stack([output[name] for output in outputs]) for name in outputs[0]}
        return np.stack(outputs)

    def run(self, theta: np.ndarray, seed: int, workdir: Path, timeout: float | None, reaper: Reaper) -> Outcome:
        """Runs one simulation (the worker process that it runs in enforces the time limit)."""
        rng = generator(seed, "simulator")
        start = time.perf_counter()
        try:
            output = _first(self._simulate(theta[None], rng)) if self.batched else self._simulate(theta, rng)
        except Exception as error:  # whatever a user's function raises is a failure of that one simulation
            # The first frame is this method's own.
            trace = "".join(traceback.format_tb(error.__traceback__)[1:])[-MESSAGE_LENGTH:]
            message = f"{type(error).__name__}: {error}\n{trace}".rstrip()
            return Outcome(Status.CRASHED, seconds=time.perf_counter() - start, message=message)
        return outcome_of(output, time.perf_counter() - start)


def _first(output: Any) -> Any:
    """The one simulation of a batch of one."""
    if isinstance(output, Mapping):
        return {name: _first(value) for name, value in output.items()}
    array = np.asarray(output)
    if array.shape[:1] != (1,):
        raise ValueError(f"a batched simulator returns arrays whose first axis is the batch, 1 here, got {array.shape}")
    return array[0]
