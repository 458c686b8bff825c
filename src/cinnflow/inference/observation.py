"""Reads observed data into the structure that the simulator gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.errors import PlainError
from cinnflow.simulation.numbers import numbers
from cinnflow.simulation.padding import LENGTH, MASK, mask_of
from cinnflow.simulation.tables import READERS, has_counted_columns, read_hdf5

MOST_TRUNCATED_AROUND = 16
"""Data sets that proposals are truncated around: their regions are united."""


class ObservationError(PlainError, ValueError):
    """Observed data that are not shaped like simulated ones; the message says how they differ."""


def check_truncated_around(path: Path, observed: Mapping[str, np.ndarray]) -> None:
    """Checks that proposals can be truncated around observed data.

    Args:
        path: the file that they were read from.
        observed: arrays of shape (data sets, ...), by name.

    Raises:
        ObservationError: where they are too many data sets.
    """
    data_sets = len(next(iter(observed.values())))
    if data_sets > MOST_TRUNCATED_AROUND:
        raise ObservationError(
            f"{path} holds {data_sets} data sets; proposals are truncated for {MOST_TRUNCATED_AROUND} at most: "
            "set simulations.proposal: prior, whose posterior is for all of them"
        )


def read_observation(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    read: Callable[[Path], Any] | None = None,
    padded: Collection[str] = (),
    lengths: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """Reads one observed data set, or many stacked along a first axis.

    A CSV file, with a header or without, holds one array as it is (a column where it has one axis), or one data set a
    row: its values along the array's last axis, then along the one before, and so on. A first row of 0, 1, 2, ... is
    the header that pandas gives columns without names, unless the whole table is shaped like one data set.
    Where there are several arrays, each of one number, a row is one data set.

    An NPZ or HDF5 file may be laid out like simulations made elsewhere, with each array as data/<name>.

    Args:
        path: the file.
        shapes: shape of each array and context of one simulation, by name.
        read: the model file's own reader; without it, the file's suffix decides.
        padded: names of those whose first axis may be shorter than the shape says. Where many data sets of different
            lengths are stacked, NaN stands behind the end of the shorter ones, or the file says where they end: by a
            `mask` (data sets, elements) or a `length` (data sets,).
        lengths: names of contexts that are the length of the padded arrays: they need not be given.

    Returns:
        Arrays of shape (data sets, ...), by name; the padded ones as long as the longest, zeros behind the end. A
        boolean `mask` (data sets, length) says what is there, where lengths differ.

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
        nested = {} if read else _nested(path, output)
    except Exception as error:
        raise ObservationError(f"{path} could not be read: {type(error).__name__}: {error}") from error
    needed = {name: shape for name, shape in shapes.items() if name not in lengths}
    ends = _ends(output, nested, shapes, padded)
    if read is None and path.suffix == ".csv" and len(needed) == 1:
        name, shape = next(iter(needed.items()))
        if has_counted_columns(path):
            output = _below_header(path, output, shape, name in padded)
        output = _of_table(output, name, shape)
    elif read is None and path.suffix == ".csv" and isinstance(output, Mapping):
        output = _of_columns(output, needed)
    elif nested:
        output = {name: output[name] for name in needed if name in output} | nested
    named = _named(output, needed, path)
    missing = sorted(set(needed) - set(named))
    if missing:
        raise ObservationError(
            f"{path} gives {sorted(named)}; simulations give {sorted(needed)}: no {', '.join(missing)}"
        )
    data = {name: _stacked(path, name, named[name], shapes[name], name in padded) for name in shapes if name in named}
    counts = {name: len(array) for name, array in data.items()}
    if len(set(counts.values())) > 1:
        raise ObservationError(f"{path}: the arrays hold different numbers of data sets: {counts}")
    if ends:
        there = _told(path, ends, *next(data[name] for name in data if name in padded).shape[:2])
    else:
        there = _there(path, data, padded)
    for name, array in data.items():
        if name in padded:
            array[~there] = 0
        if not np.isfinite(array).all():
            raise ObservationError(f"{path}: {name} holds values that are not finite")
    if there is None:
        return data
    found = there.sum(axis=1)
    data |= {name: data[name][:, : found.max()] for name in data if name in padded}
    there = there[:, : found.max()]
    for name in lengths:
        if not np.array_equal(data.setdefault(name, found.astype(np.float64)), found):
            raise ObservationError(f"{path}: {name} is {data[name].tolist()}, and the data are {found.tolist()} long")
    return data if there.all() else {**data, MASK: there}


def _below_header(path: Path, table: np.ndarray, shape: tuple[int, ...], padded: bool) -> np.ndarray:
    """A table without its first row of 0, 1, 2, ..., where that is no data."""
    if table.shape == shape and not padded:
        return table
    # A header of two columns, 0 and 1, looks like many a first row of data.
    if table.shape[1] == 2 and table[1:].shape != shape:
        raise ObservationError(
            f"{path}: the first row, 0,1, may be data or a header that pandas wrote: take it out where it is a header, "
            "and put a row with names of the columns above it where it is data"
        )
    return table[1:]


def _of_table(table: Any, name: str, shape: tuple[int, ...]) -> Any:
    """What the rows and columns of a CSV file mean where there is one array alone."""
    size = math.prod(shape)
    if isinstance(table, Mapping):
        if name not in table and len(table) not in (1, size, *shape[-1:]):
            return table
        # Either the array's own column among others, or as many columns as it has, whatever they are called.
        table = np.stack([table[name]] if name in table else list(table.values()), axis=-1)
    if table.shape[1] == 1 and len(shape) < 2 and shape != (1,):
        return table[:, 0]
    return table.reshape(-1, *shape) if len(shape) > 1 and table.shape[1] == size else table


def _of_columns(table: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, np.ndarray]:
    """The same where each of several arrays has a column."""
    if not set(shapes.values()) <= {(), (1,)}:
        return table
    return {name: column.reshape(-1, *shapes.get(name, ())) for name, column in table.items()}


def _stacked(path: Path, name: str, values: Any, shape: tuple[int, ...], padded: bool) -> np.ndarray:
    """An array of observed data with the data sets as its first axis."""
    try:
        array = numbers(values)
    except ValueError as error:
        raise ObservationError(f"{path}: {name} is not an array of numbers: {error}") from error
    given = array.shape
    if array.shape == shape or (padded and array.ndim == len(shape)):
        array = array[None]
    fits = array.ndim == len(shape) + 1 and array.shape[1 + padded :] == shape[padded:]
    if not fits or (padded and not 0 < array.shape[1] <= shape[0]):
        own = f"({', '.join([f'1 to {shape[0]}', *map(str, shape[1:])])})" if padded else f"{shape}"
        raise ObservationError(
            f"{path}: {name} has shape {given}; a simulation gives {own}, and many data sets are stacked "
            f"along a first axis, (data sets, {own[1:]}"
        )
    if not len(array):
        raise ObservationError(f"{path}: {name} has shape {given}, which holds no data set")
    return array


def _ends(
    output: Any, nested: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], padded: Collection[str]
) -> dict[str, Any]:
    """The arrays of a file that say where its data end, by name, where these may end early."""
    found = {**output, **nested} if isinstance(output, Mapping) else {}
    if not set(padded) & found.keys():  # these names are then columns of a table
        return {}
    return {name: found[name] for name in (MASK, LENGTH) if name in found and name not in shapes}


def _told(path: Path, ends: Mapping[str, Any], data_sets: int, size: int) -> np.ndarray:
    """Which elements are there (data sets, size), as a mask or lengths say."""
    found = {name: _lengths(path, name, np.asarray(values), data_sets, size) for name, values in ends.items()}
    first, *others = found.values()
    if any(not np.array_equal(first, other) for other in others):
        raise ObservationError(f"{path}: {' and '.join(found)} differ in where the data end")
    return mask_of(first, size)


def _lengths(path: Path, name: str, values: np.ndarray, data_sets: int, size: int) -> np.ndarray:
    """Length of each data set (data sets,), from their mask or from lengths."""
    shape = (data_sets, size) if name == MASK else (data_sets,)
    if values.size != math.prod(shape):
        raise ObservationError(f"{path}: {name} has shape {values.shape}, where the data take {shape}")
    values = values.reshape(shape)
    lengths = values.astype(bool).sum(axis=1) if name == MASK else values
    wrong = lengths[~np.isin(lengths, np.arange(1, size + 1))]
    if wrong.size:
        raise ObservationError(f"{path}: {name} says that a data set is {wrong[0]} long, of 1 to {size}")
    if name == MASK and not np.array_equal(values, mask_of(lengths, size)):
        raise ObservationError(
            f"{path}: {MASK} takes true up to the end of each data set and false behind it: data that vary in length "
            "have no gaps"
        )
    return lengths


def _there(path: Path, data: Mapping[str, np.ndarray], padded: Collection[str]) -> np.ndarray | None:
    """Which elements of the padded arrays are there (data sets, length): those up to the last that is no NaN.

    One data set alone has nothing to be filled up for: NaN in it is a missing value.
    """
    found: np.ndarray | None = None
    for name in (name for name in data if name in padded):
        array = data[name]
        present = ~np.isnan(array.reshape(*array.shape[:2], -1)).all(axis=2)
        there = np.cumsum(present[:, ::-1], axis=1)[:, ::-1] > 0
        if len(array) == 1 and not there.all():
            raise ObservationError(f"{path}: {name} holds values that are not finite")
        if not there.any(axis=1).all():
            raise ObservationError(f"{path}: {name} holds a data set of nothing but NaN")
        if found is not None and not np.array_equal(found, there):
            raise ObservationError(f"{path}: the arrays {', '.join(padded)} differ in length")
        found = there
    return found


def _nested(path: Path, output: Any) -> dict[str, np.ndarray]:
    """The arrays data/<name> of an archive, by name."""
    if path.suffix == ".npz":
        return {name.removeprefix("data/"): array for name, array in output.items() if name.startswith("data/")}
    return read_hdf5(path, "data") if path.suffix in (".h5", ".hdf5") else {}


def _named(output: Any, shapes: Mapping[str, tuple[int, ...]], path: Path) -> dict[str, Any]:
    """The file's arrays by the simulator's names; a file of just one array needs no name."""
    if isinstance(output, Mapping):
        if len(shapes) == 1 and len(output) == 1 and "theta" not in output:  # parameters are no data
            return {next(iter(shapes)): next(iter(output.values()))}
        return dict(output)
    if len(shapes) == 1:
        return {next(iter(shapes)): output}
    raise ObservationError(f"{path} gives one array without a name; simulations give {sorted(shapes)}")
