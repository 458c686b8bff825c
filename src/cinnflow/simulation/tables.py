"""Files of numbers that simulators write and observations come in: CSV, JSON, NPY, NPZ and HDF5."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

_MISSING = {"", "NA", "N/A", "n/a", "<NA>", "NULL", "null", "None", "#N/A", "#N/A N/A", "#NA"}
"""What pandas reads as a missing value, beside what float() reads as NaN."""

_DOUBLE = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))[dD]([+-]?\d+)$")


def read_csv(path: Path) -> dict[str, np.ndarray] | np.ndarray:
    """A CSV file: an array for each named column, or one array (rows, columns) where there is no header.

    Lines that start with '#' are comments. Columns without a name (row numbers) or without any number (dates, labels)
    are left out. An empty cell is NaN, and so is one that says NA or the like; a first row of them and of numbers is no
    header.

    Raises:
        ValueError: when a column of numbers holds something else, two have the same name, or nothing is left.
    """
    rows = list(_rows(path))
    if not rows:
        raise ValueError("the file holds no rows")
    if all(_is_number(cell) or _is_missing(cell) for cell in rows[0]):
        if any(len(row) != len(rows[0]) for row in rows):
            raise ValueError(f"a row has not as many cells as the first, {len(rows[0])}")
        return np.array([[_number(cell) for cell in row] for row in rows])
    header, body = [name.strip() for name in rows[0]], rows[1:]
    if any(len(row) != len(header) for row in body):
        raise ValueError(f"a row has not as many cells as the header, {len(header)}")
    if len(set(header)) < len(header):
        raise ValueError(f"two columns have the same name: {', '.join(header)}")
    columns = {name: [row[i].strip() for row in body] for i, name in enumerate(header)}
    table = {name: cells for name, cells in columns.items() if name and any(_is_number(cell) for cell in cells)}
    if not table:
        raise ValueError(f"no column of numbers among {', '.join(header)}: takes commas between numbers")
    return {name: np.array([_number(cell) for cell in cells]) for name, cells in table.items()}


def has_counted_columns(path: Path) -> bool:
    """Whether the first of several rows of a CSV file is 0, 1, 2, ..., which pandas calls columns without names."""
    first, *others = islice(_rows(path), 2)
    return len(first) > 1 and bool(others) and first == [str(column) for column in range(len(first))]


def has_increasing_first_row(path: Path, rows: int) -> bool:
    """Whether a CSV file of so many rows begins with whole numbers that go up, as years do, and has no other such row.

    Two numbers go up by chance too often to tell.
    """
    first, *others = _rows(path)
    return len(others) == rows - 1 and len(first) > 2 and _goes_up(first) and not any(map(_goes_up, others))


def read_json(path: Path) -> Any:
    """A JSON file: a list or number, or an object of them."""
    return json.loads(path.read_text())


def read_npy(path: Path) -> np.ndarray:
    """A NumPy array file; pickled objects are refused."""
    return np.load(path, allow_pickle=False)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """A NumPy archive: its arrays by name; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_hdf5(path: Path, group: str = "/") -> dict[str, np.ndarray]:
    """An HDF5 file: the data sets of a group, without those of groups in it, by name; none where there is no group."""
    import h5py  # h5py takes longer to import than a small batch to start

    with h5py.File(path, "r") as file:
        found = file.get(group)
        members = found.items() if isinstance(found, h5py.Group) else ()
        return {name: np.asarray(item) for name, item in members if isinstance(item, h5py.Dataset)}


READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": read_csv,
    ".json": read_json,
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}


def _rows(path: Path) -> Iterator[list[str]]:
    """Rows of a CSV file, without comments."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.reader(line for line in file if line.strip() and not _is_comment(line))


def _is_comment(line: str) -> bool:
    return line.startswith("#") and not _is_missing(line.split(",")[0])


def _number(cell: str) -> float:
    """A cell's number; Fortran writes exponents with a D."""
    cell = cell.strip()
    return float("nan" if _is_missing(cell) else _DOUBLE.sub(r"\1e\2", cell))


def _goes_up(row: list[str]) -> bool:
    """Whether a row holds whole numbers alone, each larger than the one before."""
    if not all(_is_number(cell) for cell in row):
        return False
    numbers = np.array([_number(cell) for cell in row])
    return bool(np.all(numbers == np.floor(numbers)) and np.all(np.diff(numbers) > 0))


def _is_missing(cell: str) -> bool:
    return cell.strip() in _MISSING


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return not _is_missing(cell)
