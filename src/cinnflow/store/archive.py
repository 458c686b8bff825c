"""Arrays of an HDF5 or NPZ file, read a block of rows at a time."""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Rows(Protocol):
    """An array that stays in its file until a part of it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start to stop; all of an array without an axis."""


@dataclass(frozen=True)
class Archive:
    """An open file of arrays.

    Args:
        arrays: by their paths in the file, those in a group `data` among them.
        groups: paths of other groups, whose arrays are not looked at.
        attributes: of the array `theta`, where the format has attributes.
    """

    arrays: Mapping[str, Rows]
    groups: list[str] = field(default_factory=list)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[Archive]:
    """Opens a NumPy archive.

    Raises:
        zipfile.BadZipFile, ValueError: where it is none.
    """
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        yield Archive({name.removesuffix(".npy"): _NpzRows(archive, name) for name in members})


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[Archive]:
    """Opens an HDF5 file.

    Raises:
        OSError: where it is none.
    """
    import h5py  # which takes longer to import than all else of a plan that needs no file of simulations

    with h5py.File(path, "r") as file:
        items = dict(file.items())
        if isinstance(items.get("data"), h5py.Group):
            items |= {f"data/{name}": item for name, item in items.pop("data").items()}
        arrays = {name: _Hdf5Rows(item) for name, item in items.items() if isinstance(item, h5py.Dataset)}
        groups = [name for name, item in items.items() if isinstance(item, h5py.Group)]
        yield Archive(arrays, groups, dict(items["theta"].attrs) if "theta" in arrays else {})


FORMATS = {".npz": open_npz, ".h5": open_hdf5, ".hdf5": open_hdf5}


class _Hdf5Rows:
    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape = (0,) if dataset.shape is None else dataset.shape
        self.dtype = dataset.dtype

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.asarray(self._dataset[start:stop] if self.shape else self._dataset[()])


class _NpzRows:
    """Reads forward through the compressed bytes, so that memory holds a block and not the array."""

    def __init__(self, archive: zipfile.ZipFile, member: str) -> None:
        self._archive, self._member = archive, member
        self._stream, self._row = self._open(), 0

    def _open(self) -> Any:
        stream = self._archive.open(self._member)
        version = np.lib.format.read_magic(stream)
        if version > (2, 0):
            raise ValueError(f"{self._member} holds records, not numbers")
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        self.shape, self._by_columns, self.dtype = read_header[version](stream)
        return stream

    def read(self, start: int, stop: int) -> np.ndarray:
        if self._by_columns or not self.shape or self.dtype.hasobject:
            # In Fortran's order a block of rows is spread over all of the file.
            with self._archive.open(self._member) as stream:
                whole = np.lib.format.read_array(stream, allow_pickle=False)
            return whole[start:stop] if self.shape else whole
        stop = min(stop, self.shape[0])
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if start < self._row:
            self._stream, self._row = self._open(), 0
        self._stream.seek((start - self._row) * row_bytes, 1)
        content = self._stream.read((stop - start) * row_bytes)
        if len(content) < (stop - start) * row_bytes:
            raise ValueError(f"{self._member} ends before its last row")
        self._row = stop
        return np.frombuffer(content, self.dtype).reshape(stop - start, *self.shape[1:])
