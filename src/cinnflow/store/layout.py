"""Where everything stands in a store, and how its chunks are encoded.

    results/simulations/<model>-<fingerprint>.zarr/
        zarr.json                              what the simulations are: names, bounds, shapes, fingerprint
        round-0/zarr.json, theta/zarr.json     written by the seal alone
        round-0/theta/c/<batch>/0              one chunk a batch
        round-0/data/<name>/c/<batch>/0/...    padded with NaN up to the simulator's max_length, where it declares one
        round-0/length/c/<batch>               how long each simulation's data are, where they are padded
        round-0/context/<name>/c/<batch>/0/... what a simulation depends on beside theta, where it has contexts
        round-0/status/c/<batch>               the batch's commit record
    results/simulations/<model>-<fingerprint>.scratch/<split>/<batch>/      a running batch: journal, working folders

Chunks are plain bytes with a checksum: what a simulation gave stays readable at the speed of memory, and its bits
depend on no version of a compressor.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.storage
from zarr.codecs import BytesCodec, Crc32cCodec, VLenUTF8Codec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

CHECKSUM_BYTES = 4
UNKNOWN_STATUS = 255
"""Fill value of `status`: what was never simulated shows."""


class StoreError(RuntimeError):
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

    def create(self, store: zarr.storage.MemoryStore, simulations: int, batch_size: int) -> zarr.Array:
        """An empty array of this kind, with its metadata, in a store in memory."""
        text = self.dtype == "string"
        return zarr.create_array(
            store,
            name=self.name,
            shape=(simulations, *self.shape),
            chunks=(batch_size, *self.shape),
            dtype=str if text else self.dtype,
            serializer=VLenUTF8Codec() if text else BytesCodec(endian=None if self.dtype == "uint8" else "little"),
            compressors=(Crc32cCodec(),),
            filters=(),
            fill_value=self.fill,
            dimension_names=("simulation", *self.dims),
            config={"write_empty_chunks": True},
        )

    @property
    def of_output(self) -> bool:
        """Whether it holds what simulations gave, and not what they were given."""
        return self.name == "length" or self.name.startswith("data/")

    @property
    def chunk_suffix(self) -> str:
        """What follows a batch's number in the path of its chunk."""
        return "/0" * len(self.shape)


STATUS = ArraySpec("status", "uint8", fill=UNKNOWN_STATUS)
SEED = ArraySpec("seed", "int64", fill=-1)
LENGTH = ArraySpec("length", "int32")
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


def encode(spec: ArraySpec, values: np.ndarray) -> bytes:
    """One chunk as it stands in the store: `values` has the batch as its first axis."""
    memory = zarr.storage.MemoryStore()
    spec.create(memory, len(values), len(values))[...] = values
    return _bytes(memory, f"{spec.name}/c/0{spec.chunk_suffix}")


def decode(spec: ArraySpec, chunk: bytes, batch_size: int) -> np.ndarray:
    """The values of one chunk, first axis the batch.

    Raises:
        StoreError: when the bytes are not a chunk of this kind: truncated, altered, or of another shape.
    """
    memory = zarr.storage.MemoryStore()
    array = spec.create(memory, batch_size, batch_size)
    buffer = default_buffer_prototype().buffer.from_bytes(chunk)
    sync(memory.set(f"{spec.name}/c/0{spec.chunk_suffix}", buffer))
    try:
        return np.asarray(array[...])
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        raise StoreError(f"not a chunk of {spec.name}: {error}") from error


def split_metadata(specs: Sequence[ArraySpec], simulations: int, batch_size: int, names: list[str]) -> dict[str, bytes]:
    """The files that make a split's chunks a Zarr group, by their paths below the split.

    Args:
        specs: the split's arrays.
        simulations: length of their first axis.
        batch_size: simulations in a chunk.
        names: the parameters' names, the coordinate of the dimension `parameter`.

    Returns:
        Every zarr.json, and the one chunk of the coordinate.
    """
    memory = zarr.storage.MemoryStore()
    for spec in specs:
        spec.create(memory, simulations, batch_size)
    coordinate = zarr.create_array(
        memory,
        name="parameter",
        shape=(len(names),),
        chunks=(len(names),),
        dtype=str,
        serializer=VLenUTF8Codec(),
        compressors=(Crc32cCodec(),),
        dimension_names=("parameter",),
    )
    coordinate[...] = np.array(names, dtype=object)
    groups = sorted({spec.name.split("/")[0] for spec in specs if "/" in spec.name})
    for group in [*groups, ""]:
        _consolidate(memory, group)
    keys = ["zarr.json", *(f"{name}/zarr.json" for name in [*groups, *(spec.name for spec in specs)])]
    return {key: _bytes(memory, key) for key in [*keys, "parameter/zarr.json", "parameter/c/0"]}


def consolidated_metadata(root: Path) -> bytes:
    """The root group's zarr.json, with the metadata of every sealed split in it, so that one read opens a store."""
    memory = zarr.storage.MemoryStore()
    for pattern in ("zarr.json", "*/zarr.json", "*/*/zarr.json", "*/*/*/zarr.json"):
        for path in sorted(root.glob(pattern)):
            buffer = default_buffer_prototype().buffer.from_bytes(path.read_bytes())
            sync(memory.set(path.relative_to(root).as_posix(), buffer))
    _consolidate(memory, "")
    return _bytes(memory, "zarr.json")


def _consolidate(memory: zarr.storage.MemoryStore, group: str) -> None:
    with warnings.catch_warnings():  # of an extension of the format, which readers may ignore
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(memory, path=group)


def group_metadata(attributes: dict[str, Any]) -> bytes:
    """A group's zarr.json."""
    memory = zarr.storage.MemoryStore()
    zarr.create_group(memory, attributes=attributes)
    return _bytes(memory, "zarr.json")


def _bytes(memory: zarr.storage.MemoryStore, key: str) -> bytes:
    buffer = sync(memory.get(key, default_buffer_prototype()))
    assert buffer is not None
    return buffer.to_bytes()


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
        """Simulations in a batch of this store, None while there is no committed batch."""
        with contextlib.suppress(FileNotFoundError, ValueError, LookupError, TypeError):
            return int(json.loads((self.path / "zarr.json").read_text())["attributes"]["cinnflow"]["batch_size"])
        # Before any simulation has succeeded, nothing else tells.
        records = [path for path in self.path.glob("*/status/c/*") if path.name.isdigit()]
        sizes = Counter(record.stat().st_size - CHECKSUM_BYTES for record in records)
        return sizes.most_common(1)[0][0] if sizes else None


def place(path: Path, content: bytes, temporary: Path) -> None:
    """Writes a file so that nobody ever sees half of it: aside, to disk, then into place."""
    temporary.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
