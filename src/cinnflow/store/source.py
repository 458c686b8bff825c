"""Simulations made elsewhere: what their file holds, checked before any of its rows are read.

    theta           (simulations,) or (simulations, parameters)
    x               (simulations, ...), or, where a simulation gives several arrays, data/<name> for each
    names           the parameters' names: an array of text, or in HDF5 an attribute of theta
    lower, upper    their bounds, likewise: one for each parameter, or one for all

Names and bounds may be missing: they then come from the prior of the model file, and without one there are no bounds
and the names are theta_0, theta_1, ...
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.errors import PlainError
from cinnflow.simulation.names import checked_name
from cinnflow.simulation.padding import LENGTH, MASK
from cinnflow.simulation.prior import Prior, PriorError, checked_support
from cinnflow.store.archive import FORMATS, Archive, Rows


class SourceError(PlainError, ValueError):
    """A file of simulations that cannot be used; the message says what it holds and what is taken."""


@dataclass(frozen=True)
class Source:
    """A file of simulations.

    Args:
        path: the file.
        names: the parameters' names.
        lower: their lower bounds (parameters,), infinite where there is none.
        upper: their upper bounds, likewise.
        simulations: how many there are.
        data: shape of each array that one simulation gives, by name.
        unused: what else the file holds.
    """

    path: Path
    names: list[str]
    lower: np.ndarray
    upper: np.ndarray
    simulations: int
    data: Mapping[str, tuple[int, ...]]
    unused: list[str]

    @property
    def name(self) -> str:
        """The file's name as a store may carry it."""
        return re.sub(r"[^A-Za-z0-9_.]", "-", self.path.stem).lstrip("-.") or "source"

    def splits(self, held_out: int) -> dict[str, range]:
        """Rows of each split, of which the last ones are held out.

        Raises:
            SourceError: where that leaves none to train on.
        """
        trained = self.simulations - held_out
        if trained < 1:
            raise SourceError(
                f"{self.path} holds {self.simulations} simulations, of which simulations.test: {held_out} are to be "
                "held out: that leaves none to train on; set simulations.test to less"
            )
        return {"round-0": range(trained), "test": range(trained, self.simulations)}

    @property
    def theta(self) -> np.ndarray:
        """Parameters of all of them (simulations, parameters)."""
        with _opened(self.path) as archive:
            theta = self._numbers(archive.arrays["theta"], range(self.simulations))
        return theta.reshape(self.simulations, len(self.names))

    def read(self, blocks: list[range]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Reads blocks of rows, those of one block at a time; quickest in the order of the file.

        Yields:
            For each block theta (rows, parameters) and the data by name, first axis rows; all of them float64.

        Raises:
            SourceError: where the file is damaged.
        """
        with _opened(self.path) as archive:
            columns = {"theta": archive.arrays["theta"]}
            columns |= {name: archive.arrays[key] for name, key in _data_keys(archive).items()}
            for block in blocks:
                values = {name: self._numbers(rows, block) for name, rows in columns.items()}
                yield values.pop("theta").reshape(len(block), len(self.names)), values

    def _numbers(self, rows: Rows, block: range) -> np.ndarray:
        with _reading(self.path), np.errstate(over="ignore"):  # too large for float64: not finite, like others
            return rows.read(block.start, block.stop).astype(np.float64)


def open_source(path: str | Path, prior: Prior | None = None) -> Source:
    """Checks what a file of simulations holds: shapes, types, names and bounds, but none of its rows.

    Args:
        path: an .npz, .h5 or .hdf5 file; this module's head says what it holds.
        prior: where names and bounds come from that the file does not have.

    Raises:
        SourceError: when the file is not there, cannot be read, lacks an array, or its parts contradict each other.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise SourceError(f"simulations.source: got {str(path)!r}; takes a file in {', '.join(FORMATS)}")
    if not path.is_file():
        raise SourceError(f"simulations.source: got {str(path)!r}; takes the path of a file that exists")
    with _opened(path) as archive:
        try:
            return _checked(path, archive, prior)
        except (SourceError, PriorError) as error:
            raise SourceError(f"simulations.source: {path}: {error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    with contextlib.ExitStack() as stack:
        with _reading(path):
            archive = stack.enter_context(FORMATS[path.suffix.lower()](path))
        yield archive


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file makes h5py and zipfile raise almost anything
        raise SourceError(f"{path} could not be read: {type(error).__name__}: {error}") from error


def _checked(path: Path, archive: Archive, prior: Prior | None) -> Source:
    if "theta" not in archive.arrays:
        raise SourceError(f"no array theta (simulations, parameters); {_listing(archive)}")
    keys = _data_keys(archive)
    for key in ("theta", *keys.values()):
        _check_array(key, archive.arrays[key])
    theta = archive.arrays["theta"].shape
    if len(theta) > 2:
        raise SourceError(f"theta has shape {theta}; takes (simulations, parameters)")
    data = {name: archive.arrays[key].shape for name, key in keys.items()}
    if any(shape[0] != theta[0] for shape in data.values()):
        shapes = ", ".join(f"{name} {shape}" for name, shape in {"theta": theta, **data}.items())
        raise SourceError(f"the arrays have different lengths, which is the number of simulations: {shapes}")
    for name in sorted({MASK, LENGTH} & archive.arrays.keys()):
        raise SourceError(
            f"{name} stands beside the data, where networks do not see it: takes data/{MASK} (simulations, elements), "
            "true where the data are, beside data/<name> for each array"
        )
    names, lower, upper = _parameters(archive, theta[1] if len(theta) == 2 else 1, prior)
    used = {"theta", "names", "lower", "upper", *keys.values()}
    unused = sorted({*archive.arrays, *archive.groups} - used)
    return Source(path, names, lower, upper, theta[0], {name: tuple(shape[1:]) for name, shape in data.items()}, unused)


def _data_keys(archive: Archive) -> dict[str, str]:
    """Where the data of each name stand in the file.

    Raises:
        SourceError: where there are none, or it is not clear which.
    """
    nested = [name for name in archive.groups if name.startswith("data/")]
    if nested:
        raise SourceError(f"{nested[0]} is a group; data takes arrays alone, data/<name>")
    if "data" in archive.arrays:
        raise SourceError("data is an array; takes x for the one array of data, or data/<name> for each of several")
    keys = {key.removeprefix("data/"): key for key in archive.arrays if key.startswith("data/")}
    if keys and "x" in archive.arrays:
        raise SourceError(f"both x and {', '.join(keys.values())}: takes x alone, or data/<name> for each array")
    if not keys and "x" not in archive.arrays:
        raise SourceError(f"no data: takes an array x, or data/<name> for each of several; {_listing(archive)}")
    keys = keys or {"x": "x"}
    for name in keys:
        try:
            checked_name(name)
        except ValueError as error:
            raise SourceError(str(error)) from error
    return keys


def _listing(archive: Archive) -> str:
    found = [
        *(f"{name} {rows.shape}" for name, rows in archive.arrays.items()),
        *(f"{name}/" for name in archive.groups),
    ]
    return f"the file holds {', '.join(found) or 'no arrays'}"


def _check_array(name: str, rows: Rows) -> None:
    if rows.dtype.kind not in "biuf":
        raise SourceError(f"{name} is an array of type {rows.dtype}; takes numbers")
    if not rows.shape or 0 in rows.shape:
        raise SourceError(f"{name} is empty or a single number, shape {rows.shape}: its first axis is the simulation")


def _parameters(archive: Archive, count: int, prior: Prior | None) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names and bounds of so many parameters.

    Raises:
        SourceError, PriorError: where they do not fit theta, each other, or the prior.
    """
    if prior is not None and len(prior.names) != count:
        raise SourceError(f"theta has {count} parameters; the model file's prior has {', '.join(prior.names)}")
    names = _text(_beside(archive, "names"), count)
    if prior is not None and names not in (None, prior.names):
        raise SourceError(f"the parameters are {', '.join(names)}; the model file's prior has {', '.join(prior.names)}")
    names = names or (list(prior.names) if prior else [f"theta_{i}" for i in range(count)])
    without = (prior.lower, prior.upper) if prior else (-np.inf, np.inf)
    bounds = []
    for key, default in zip(("lower", "upper"), without, strict=True):
        found = _beside(archive, key)
        if found is not None and np.asarray(found).dtype.kind not in "biuf":
            raise SourceError(f"{key} takes numbers, one for each parameter, got {found!r}")
        bounds.append(default if found is None else found)
    return names, *checked_support(names, *bounds)


def _beside(archive: Archive, key: str) -> Any:
    """What stands beside theta under a name: an attribute of it, or an array of its own; None where neither does."""
    if key in archive.attributes:
        return archive.attributes[key]
    if key not in archive.arrays:
        return None
    rows = archive.arrays[key]
    if rows.dtype.hasobject and rows.dtype.metadata is None:  # HDF5 says in the metadata that its objects are text
        raise SourceError(f"{key} is an array of Python objects; save plain text, numpy.array([...], dtype=str)")
    return rows.read(0, rows.shape[0] if rows.shape else 1)


def _text(names: Any, count: int) -> list[str] | None:
    if names is None:
        return None
    found = [name.decode() if isinstance(name, bytes) else name for name in np.asarray(names).reshape(-1).tolist()]
    if len(found) != count or not all(isinstance(name, str) for name in found):
        raise SourceError(f"names takes {count} names, one for each column of theta, got {found}")
    return found
