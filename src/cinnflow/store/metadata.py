"""The metadata that makes a store's chunks a Zarr hierarchy, which the seal writes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
import zarr.storage
from zarr.codecs import BytesCodec, Crc32cCodec, VLenUTF8Codec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from cinnflow.store.layout import ArraySpec


def create_array(spec: ArraySpec, store: zarr.storage.MemoryStore, simulations: int, batch_size: int) -> zarr.Array:
    """An empty array of a kind, with its metadata, in a store in memory."""
    text = spec.dtype == "string"
    return zarr.create_array(
        store,
        name=spec.name,
        shape=(simulations, *spec.shape),
        chunks=(batch_size, *spec.shape),
        dtype=str if text else spec.dtype,
        serializer=VLenUTF8Codec() if text else BytesCodec(endian=None if spec.dtype == "uint8" else "little"),
        compressors=(Crc32cCodec(),),
        filters=(),
        fill_value=spec.fill,
        dimension_names=("simulation", *spec.dims),
        config={"write_empty_chunks": True},
    )


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
        create_array(spec, memory, simulations, batch_size)
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


def _bytes(memory: zarr.storage.MemoryStore, key: str) -> bytes:
    buffer = sync(memory.get(key, default_buffer_prototype()))
    assert buffer is not None
    return buffer.to_bytes()
