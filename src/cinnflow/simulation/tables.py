"""Files of numbers that simulators write and observations come in: CSV, JSON, NPY, NPZ and HDF5."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def read_csv(path: Path) -> dict[str, np.ndarray] | np.ndarray:
    """A CSV file: an array for each named column, or one array (rows, columns) where there is no header.

    Lines that start with '#' are comments. Columns without a name (row numbers) or without any number (dates, labels)
    are left out. An empty cell is NaN.

    Raises:
        ValueError: when a column of numbers holds something else, two have the same name, or nothing is left.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(line for line in file if line.strip() and not line.startswith("#")))
    if not rows:
        raise ValueError("the file holds no rows")
    if all(_is_number(cell) for cell in rows[0] if cell.strip()):
        if any(len(row) != len(rows[0]) for row in rows):
            raise ValueError(f"a row has not as many cells as the first, {len(rows[0])}")
        return np.array([[float(cell.strip() or "nan") for cell in row] for row in rows])
    header, body = [name.strip() for name in rows[0]], rows[1:]
    if any(len(row) != len(header) for row in body):
        raise ValueError(f"a row has not as many cells as the header, {len(header)}")
    if len(set(header)) < len(header):
        raise ValueError(f"two columns have the same name: {', '.join(header)}")
    columns = {name: [row[i].strip() for row in body] for i, name in enumerate(header)}
    table = {name: cells for name, cells in columns.items() if name and any(_is_number(cell) for cell in cells)}
    if not table:
        raise ValueError(f"no column of numbers among {', '.join(header)}")
    return {name: np.array([float(cell or "nan") for cell in cells]) for name, cells in table.items()}


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


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """An HDF5 file: its data sets at the top level by name."""
    import h5py  # h5py takes longer to import than a small batch to start

    with h5py.File(path, "r") as file:
        return {name: np.asarray(item) for name, item in file.items() if isinstance(item, h5py.Dataset)}


READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": read_csv,
    ".json": read_json,
    ".npy": read_npy,
    ".npz": read_npz,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
