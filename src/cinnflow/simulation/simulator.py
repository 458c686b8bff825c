"""A simulator that is a Python function."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.arguments import function_of
from cinnflow.simulation.context import Context, ContextGenerator, each_array
from cinnflow.simulation.numbers import unmasked
from cinnflow.simulation.outcome import Outcome, Status, outcome_of
from cinnflow.simulation.padding import MASK, MaxLength, check_max_length, common_length, mask_of, maximum, pad
from cinnflow.simulation.reaper import Reaper
from cinnflow.simulation.seeds import generator

MESSAGE_LENGTH = 2000


class Simulator:
    """A function from a parameter vector to data.

    Args:
        simulate: `simulate(theta, rng)` takes one parameter vector (parameters,) and returns an array or a dict of
            arrays; with `batched`, `theta` is (batch_size, parameters) and so is the first axis of what it returns.
            All its randomness comes from `rng`. Where there is a context generator, contexts follow behind these
            arguments, as `ContextGenerator` says.
        batched: whether `simulate` takes a batch at a time.
        files: files that the function reads, beside the model file: their bytes are part of what a simulation means.
        context_generator: what a simulation depends on beside its parameters, such as a number of observations.
        max_length: where the first axis of what `simulate` returns varies, the most that it can be: a number for all
            arrays with an axis, or a dict of it by name for just those that vary, which they do together. A simulation
            that gives more has failed.

    Raises:
        TypeError: for a `simulate` that is no function, or none of these arguments.
        ValueError: for a `max_length` that is none.
    """

    isolated = False
    """Whether one simulation cannot harm the process that runs it: a Python function can."""

    def __init__(
        self,
        simulate: Callable[..., Any],
        batched: bool = False,
        files: Sequence[str] = (),
        context_generator: ContextGenerator | None = None,
        max_length: MaxLength = None,
    ) -> None:
        check_max_length(max_length)
        function_of("simulate", simulate, "theta", "rng")
        self._simulate = simulate
        self.batched = batched
        self.files = list(files)
        self.context_generator = context_generator or ContextGenerator()
        self.max_length = max_length

    def bind(self, names: Sequence[str], folder: Path) -> None:
        """Nothing to learn from the parameters' names or the model file's folder."""

    def __call__(self, theta: np.ndarray, rng: np.random.Generator, context: Context | None = None) -> Any:
        """Simulates a batch in this process.

        Args:
            theta: parameters (batch_size, parameters).
            rng: where all randomness comes from.
            context: theirs; without it, they get a fresh one.

        Returns:
            An array or a dict of arrays, first axis batch_size. Where `max_length` is declared, a dict in which those
            that vary are filled up with zeros, with a boolean array `mask` (batch_size, max_length) that says what is
            there.

        Raises:
            ValueError: where simulations are not numbers, differ in names or shape, or are longer than declared.
        """
        if context is None:
            context = self.context_generator.draw(len(theta), rng)
        # Copies, also of what comes back: a function may write into its arguments, or use one array again and again.
        if self.batched:
            positional, named = context.arguments()
            output = self._simulate(theta.copy(), rng, *positional, **named)
            if self.max_length is None:
                return _arrays(output)
            # One by one: a list of arrays that differ in length is no array.
            rows = [each_array(output, lambda values, row=row: values[row]) for row in range(len(theta))]
            outputs = [_arrays(row) for row in rows]
        else:
            outputs = []
            for row, parameters in enumerate(theta):
                positional, named = context.arguments(row)
                outputs.append(_arrays(self._simulate(parameters.copy(), rng, *positional, **named)))
        return _stacked(outputs) if self.max_length is None else _padded(outputs, self.max_length)

    def run(
        self, theta: np.ndarray, seed: int, workdir: Path, timeout: float | None, reaper: Reaper, context: Context
    ) -> Outcome:
        """Runs one simulation (the worker process that it runs in enforces the time limit)."""
        rng = generator(seed, "simulator")
        start = time.perf_counter()
        try:
            positional, named = context.arguments(None if self.batched else 0)
            output = self._simulate(theta[None] if self.batched else theta, rng, *positional, **named)
            output = _first(output) if self.batched else output
        except Exception as error:  # whatever a user's function raises is a failure of that one simulation
            # The first frame is this method's own.
            lines = "".join(traceback.format_tb(error.__traceback__)[1:]).splitlines()
            trace = "\n".join(line for line in lines if line.strip(" ~^"))[-MESSAGE_LENGTH:]
            message = f"{type(error).__name__}: {error}\n{trace}".rstrip()
            return Outcome(Status.CRASHED, seconds=time.perf_counter() - start, message=message)
        return outcome_of(output, time.perf_counter() - start, self.max_length)


def _arrays(output: Any) -> Any:
    """What a user's function returned, as an array or a dict of arrays."""
    if output is None or (isinstance(output, Mapping) and not output):
        raise ValueError(f"the simulator returned no data: {output!r}")
    return each_array(output, _numbers)


def _numbers(value: Any) -> np.ndarray:
    """A copy of numbers as they are, but for what is more precise than networks and stores are."""
    array = unmasked(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"the simulator returned an array that is not numbers: its type is {array.dtype}")
    return array.astype(np.float64 if array.dtype == np.longdouble else array.dtype)


def _stacked(outputs: Sequence[Any]) -> Any:
    """Simulations along a first axis."""
    names = {tuple(sorted(output)) if isinstance(output, Mapping) else () for output in outputs}
    if len(names) > 1:
        told = " and ".join(", ".join(each) or "an array without a name" for each in sorted(names))
        raise ValueError(f"the simulations of a batch differ in their arrays' names: {told}")
    if isinstance(outputs[0], Mapping):
        return {name: _stacked([output[name] for output in outputs]) for name in outputs[0]}
    shapes = {np.shape(output) for output in outputs}
    if len(shapes) > 1:
        raise ValueError(
            f"the simulations of a batch differ in shape: {sorted(shapes)}; where the first axis varies, declare the "
            "most that it can be: Simulator(..., max_length=...)"
        )
    return np.stack(outputs)


def _padded(outputs: Sequence[Any], max_length: MaxLength) -> dict[str, np.ndarray]:
    """Simulations of any length along a first axis, filled up, with a mask."""
    named = [dict(output) if isinstance(output, Mapping) else {"x": output} for output in outputs]
    lengths = np.array([common_length(data, max_length) for data in named])
    return {**_stacked([pad(data, max_length, 0) for data in named]), MASK: mask_of(lengths, maximum(max_length))}


def _first(output: Any) -> Any:
    """The one simulation of a batch of one."""
    if isinstance(output, Mapping):
        return {name: _first(value) for name, value in output.items()}
    array = unmasked(output)
    if array.shape[:1] != (1,):
        raise ValueError(f"a batched simulator returns arrays whose first axis is the batch, 1 here, got {array.shape}")
    return array[0]
