"""What became of one simulation: failures are data, not exceptions."""

from __future__ import annotations

import enum
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cinnflow.simulation.names import checked_name
from cinnflow.simulation.numbers import numbers
from cinnflow.simulation.padding import MaxLength, check_mask, common_length


class Status(enum.IntEnum):
    """How a simulation ended, as it stands in the store."""

    OK = 0
    CRASHED = 1
    TIMED_OUT = 2
    NOT_FINITE = 3
    UNREADABLE = 4

    @property
    def label(self) -> str:
        """The status in words, as reports and commands spell it."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Outcome:
    """The end of one simulation.

    Args:
        status: how it ended.
        data: its output by name, float64 arrays; empty unless the status is ok.
        seconds: wall time of its last attempt.
        attempts: how often it was tried.
        exit_code: exit status of the program, negative for a signal; 0 where there is none.
        message: why it failed, ending in the tail of its standard error; empty where it did not.
    """

    status: Status
    data: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    attempts: int = 1
    exit_code: int = 0
    message: str = ""

    def failed(self, status: Status, message: str) -> Outcome:
        """The same outcome, found to have failed after all."""
        return replace(self, status=status, data={}, message=message)


def signal_name(number: int) -> str:
    """A signal as a person knows it, such as SIGKILL."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def outcome_of(output: object, seconds: float, max_length: MaxLength = None) -> Outcome:
    """Judges what a simulator returned: an array or a mapping of arrays, numbers, all finite.

    Args:
        output: an array-like, named `x` in the store, or a mapping of names to array-likes.
        seconds: wall time that the simulation took.
        max_length: the declared maximum of the first axis, where it varies.

    Returns:
        An outcome that is ok, not finite, or unreadable.
    """
    if output is None or (isinstance(output, Mapping) and not output):
        return Outcome(Status.UNREADABLE, seconds=seconds, message=f"the simulator returned no data: {output!r}")
    named = output if isinstance(output, Mapping) else {"x": output}
    try:
        data = {checked_name(str(name)): _numbers(str(name), value) for name, value in named.items()}
        _check_axes(data)
        common_length(data, max_length)
        check_mask(data)
    except ValueError as error:
        return Outcome(Status.UNREADABLE, seconds=seconds, message=str(error))
    for name, array in data.items():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        if bad:
            message = f"output {name!r} holds {bad} values of {array.size} that are not finite"
            if bad == np.count_nonzero(np.isnan(array)) and array.ndim:
                message += (
                    "; where elements are missing, give zeros, and a boolean array 'mask' that says which are there"
                )
            return Outcome(Status.NOT_FINITE, seconds=seconds, message=message)
    return Outcome(Status.OK, data=data, seconds=seconds)


def _check_axes(data: Mapping[str, np.ndarray]) -> None:
    for name, array in data.items():
        taken = [axis for axis in (f"{name}_{number}" for number in range(array.ndim)) if axis in data]
        if taken:
            raise ValueError(f"output name {taken[0]!r}: an axis of {name!r} is called so, rename one of them")


def _numbers(name: str, value: object) -> np.ndarray:
    """The value as an array of float64."""
    try:
        array = numbers(value)
    except ValueError as error:
        raise ValueError(f"output {name!r} is not an array of numbers: {error}") from error
    if array.size == 0:
        raise ValueError(f"output {name!r} is empty: {array.shape}")
    return array
