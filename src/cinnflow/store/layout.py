"""Where everything stands in a store.

results/simulations/<model>-<fingerprint>.zarr/
    zarr.json                              what the simulations are: names, bounds, shapes, fingerprint
    round-0/zarr.json, theta/zarr.json     written by the seal alone
    round-0/theta/c/<batch>/0              one chunk a batch
    round-0/data/<name>/c/<batch>/0/...    padded with NaN up to the simulator's max_length, where it declares one
    round-0/length/c/<batch>               how long each simulation's data are, where they are padded
    round-0/context/<name>/c/<batch>/0/... what a simulation depends on beside theta, where it has contexts
    round-0/status/c/<batch>               the batch's commit record
results/simulations/<model>-<fingerprint>.scratch/<split>/<batch>/      a running batch: journal, working folders
results/simulations/<model>-<fingerprint>.misshapen/<split>/<batch>     a journal of what had another shape
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.errors import PlainError
from cinnflow.simulation import padding

CHECKSUM_BYTES = 4
UNKNOWN_STATUS = 255
"""Fill value of `status`: what was never simulated shows."""


class StoreError(PlainError, RuntimeError):
    """A store that cannot be used as it is; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class ArraySpec:
    """How one array of a split is stored.

    Args:
        name: its path below the split.
        dtype: its NumPy type, or `string`.
        shape: shape of one simulation's entry.
        dims: a name for each dimension of that shape.
        fill: what stands where nothing was written.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    fill: Any = 0

    @property
    def of_output(self) -> bool:
        """Whether it holds what simulations gave, and not what they were given."""
        return self.name == padding.LENGTH or self.name.startswith("data/")

    @property
    def chunk_suffix(self) -> str:
        """What follows a batch's number in the path of its chunk."""
        return "/0" * len(self.shape)


STATUS = ArraySpec("status", "uint8", fill=UNKNOWN_STATUS)
SEED = ArraySpec("seed", "int64", fill=-1)
LENGTH = ArraySpec(padding.LENGTH, "int32")
"""Length of the first axis of the data that vary; 0 for a simulation that failed."""
RECORDS = (
    ArraySpec("seconds", "float64", fill=np.nan),
    ArraySpec("attempts", "int16"),
    ArraySpec("exit_code", "int32"),
    ArraySpec("message", "string", fill=""),
)
"""What a batch records beside what training reads; it may differ from one run to the next."""


def theta_spec(parameters: int) -> ArraySpec:
    """Specification of the parameters' array."""
    return ArraySpec("theta", "float64", (parameters,), ("parameter",), np.nan)


def data_spec(name: str, shape: tuple[int, ...]) -> ArraySpec:
    """Specification of one array of simulated data."""
    dims = tuple(f"{name}_{axis}" for axis in range(len(shape)))
    return ArraySpec(f"data/{name}", "float64", shape, dims, np.nan)


def context_spec(name: str, shape: tuple[int, ...]) -> ArraySpec:
    """Specification of the array of one context."""
    dims = tuple(f"{name}_{axis}" for axis in range(len(shape)))
    return ArraySpec(f"context/{name}", "float64", shape, dims, np.nan)


@dataclass(frozen=True)
class Store:
    """Paths of one store.

    Args:
        path: the folder that ends in .zarr.
    """

    path: Path

    @property
    def name(self) -> str:
        """The store's name: model and fingerprint."""
        return self.path.name.removesuffix(".zarr")

    @property
    def scratch(self) -> Path:
        """Where running batches keep their journals and working folders: beside the store, on its file system."""
        return self.path.with_suffix(".scratch")

    @property
    def failed(self) -> Path:
        """Where working folders of failed simulations are kept, on request."""
        return self.path.with_suffix(".failed")

    @property
    def misshapen(self) -> Path:
        """Where the data are kept of simulations that failed for their shape alone."""
        return self.path.with_suffix(".misshapen")

    def chunk(self, split: str, spec: ArraySpec, batch: int) -> Path:
        """Path of one chunk."""
        return self.path / split / spec.name / f"c/{batch}{spec.chunk_suffix}"

    def committed(self, split: str) -> list[int]:
        """Numbers of the batches that are committed, in order."""
        folder = self.path / split / "status/c"
        return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit()) if folder.is_dir() else []

    def splits(self) -> list[str]:
        """Names of the splits that hold a committed or a running batch."""
        found = [path.parent.parent.name for path in self.path.glob("*/status/c")]
        return sorted({*found, *(path.name for path in self.scratch.glob("*") if path.is_dir())})

    def batch_size(self) -> int | None:
        """Simulations in a batch of this store, None while there is no committed batch.

        Raises:
            StoreError: when it cannot be read.
        """
        try:
            with contextlib.suppress(FileNotFoundError, ValueError, LookupError, TypeError):
                return int(json.loads((self.path / "zarr.json").read_text())["attributes"]["cinnflow"]["batch_size"])
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be read ({error.strerror}): let `results` be a folder that you may read"
            ) from error
        # Before any simulation has succeeded, nothing else tells.
        records = [path for path in self.path.glob("*/status/c/*") if path.name.isdigit()]
        sizes = Counter(record.stat().st_size - CHECKSUM_BYTES for record in records)
        return sizes.most_common(1)[0][0] if sizes else None


@dataclass(frozen=True)
class Batch:
    """One batch of one split, as a job is asked for it.

    Args:
        store: the store that it belongs to.
        split: `round-0`, `test`, ...
        number: which batch of the split.
        size: simulations in it.
    """

    store: Store
    split: str
    number: int
    size: int

    @property
    def indices(self) -> range:
        """Which simulations of the split it holds."""
        return range(self.number * self.size, (self.number + 1) * self.size)

    @property
    def scratch(self) -> Path:
        """The batch's own folder while it runs."""
        return self.store.scratch / self.split / str(self.number)

    @property
    def journal(self) -> Path:
        """Path of the batch's journal."""
        return self.scratch / "journal"

    @property
    def misshapen(self) -> Path:
        """Path of the journal of its simulations that failed for their shape alone."""
        return self.store.misshapen / self.split / str(self.number)

    @property
    def committed(self) -> bool:
        """Whether the batch is in the store."""
        return self.store.chunk(self.split, STATUS, self.number).exists()


def place(path: Path, content: bytes, temporary: Path | None = None) -> None:
    """Writes a file so that nobody ever sees half of it: aside, to disk, then into place.

    Args:
        path: the file.
        content: its bytes.
        temporary: where it stands meanwhile, on the same file system; None: beside it, under another suffix.
    """
    temporary = path.with_suffix(".temporary") if temporary is None else temporary
    temporary.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
