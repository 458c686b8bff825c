"""Reads observed data into the structure that the simulator gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.simulation.tables import READERS


class ObservationError(ValueError):
    """Observed data that are not shaped like simulated ones; the message says how they differ."""


def read_observation(
    path: Path, shapes: Mapping[str, tuple[int, ...]], read: Callable[[Path], Any] | None = None
) -> dict[str, np.ndarray]:
    """Reads one observed data set, or many stacked along a first axis.

    Args:
        path: the file.
        shapes: shape of each array that one simulation gives, by name.
        read: the model file's own reader; without it, the file's suffix decides.

    Returns:
        Arrays of shape (data sets, *shape), by name.

    Raises:
        ObservationError: when the file cannot be read, lacks an array, holds values that are not finite, or is of
            another shape.
    """
    if read is None and path.suffix not in READERS:
        raise ObservationError(
            f"{path}: takes {', '.join(READERS)}, or a model file that defines read_observation(path)"
        )
    try:
        output = (read or READERS[path.suffix])(path)
    except Exception as error:
        raise ObservationError(f"{path} could not be read: {type(error).__name__}: {error}") from error
    named = _named(output, shapes, path)
    missing = sorted(set(shapes) - set(named))
    if missing:
        raise ObservationError(
            f"{path} gives {sorted(named)}; simulations give {sorted(shapes)}: no {', '.join(missing)}"
        )
    data = {}
    for name, shape in shapes.items():
        try:
            array = np.asarray(named[name], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ObservationError(f"{path}: {name} is not an array of numbers: {error}") from error
        if array.shape == shape:
            array = array[None]
        if array.shape[1:] != shape or array.ndim != len(shape) + 1:
            stacked = f"(data sets, {', '.join(map(str, shape))})"
            raise ObservationError(
                f"{path}: {name} has shape {array.shape}; a simulation gives {shape}, and many data sets are stacked "
                f"along a first axis, {stacked}"
            )
        if not np.isfinite(array).all():
            raise ObservationError(f"{path}: {name} holds values that are not finite")
        data[name] = array
    lengths = {name: len(array) for name, array in data.items()}
    if len(set(lengths.values())) > 1:
        raise ObservationError(f"{path}: the arrays hold different numbers of data sets: {lengths}")
    return data


def _named(output: Any, shapes: Mapping[str, tuple[int, ...]], path: Path) -> dict[str, Any]:
    """The file's arrays by the simulator's names; a file of just one array needs no name."""
    if isinstance(output, Mapping):
        if len(shapes) == 1 and len(output) == 1:
            return {next(iter(shapes)): next(iter(output.values()))}
        return dict(output)
    if len(shapes) == 1:
        return {next(iter(shapes)): output}
    raise ObservationError(f"{path} gives one array without a name; simulations give {sorted(shapes)}")
