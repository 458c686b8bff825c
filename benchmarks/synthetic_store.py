"""A store of numbers that nothing has simulated, written by the project's own encoder as fast as that goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cinnflow.store.chunks import encode
from cinnflow.store.commit import place_batch
from cinnflow.store.description import Description, write_description
from cinnflow.store.layout import Batch, Store
from cinnflow.store.manifest import Manifest
from cinnflow.store.seal import seal


def write_store(store: Store, batches: int, floats: int, batch_size: int) -> Manifest:
    """Fills and seals round-0 with normal numbers.

    Args:
        store: which does not exist yet.
        batches: how many.
        floats: data of one simulation.
        batch_size: simulations in a batch.
    """
    description = describe(batch_size, {"x": [floats]})
    write_description(store, description, store.scratch / "zarr.json")
    for number, columns in enumerate(synthetic_batches(description, batches)):
        place_batch(Batch(store, "round-0", number, batch_size), description, columns)
    return seal(store, "round-0", batches, batch_size, 0.0, "")[0]


def copy_batch(store: Store, description: Description, split: str, number: int) -> None:
    """Fills a split with so many times the same batch: each chunk is encoded once."""
    (columns,) = synthetic_batches(description, 1)
    for spec in description.arrays:
        chunk = encode(spec, columns[spec.name])
        for batch in range(number):
            path = store.chunk(split, spec, batch)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chunk)


def describe(batch_size: int, data: dict[str, list[int]]) -> Description:
    """What a store of two parameters holds."""
    return Description(["a", "b"], [None] * 2, [None] * 2, data, batch_size, {"synthetic": "1"})


def synthetic_batches(description: Description, number: int) -> Iterator[dict[str, np.ndarray]]:
    """Values of so many batches: the first two numbers of the data are the parameters with noise."""
    size, rng = description.batch_size, np.random.default_rng(0)
    for _ in range(number):
        columns = {
            spec.name: np.full((size, *spec.shape), spec.fill, object if spec.dtype == "string" else spec.dtype)
            for spec in description.arrays
        }
        columns["status"] = np.zeros(size, np.uint8)
        columns["theta"] = rng.standard_normal((size, 2))
        for name, shape in description.data.items():
            columns[f"data/{name}"] = rng.standard_normal((size, *shape))
            columns[f"data/{name}"][:, :2] += columns["theta"]
        yield columns


def megabytes(folder: Path) -> float:
    """Size of everything in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
