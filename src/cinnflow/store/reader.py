"""Reads sealed splits: parameters and data as arrays, failed simulations left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import zarr

from cinnflow.simulation.padding import MASK, mask_of
from cinnflow.store.description import Description, read_description
from cinnflow.store.layout import LENGTH, Store, StoreError
from cinnflow.store.manifest import Manifest

GONE = "`cinnflow verify --repair` takes back what it needs of it, and the next snakemake makes that"
"""What to do about a store that does not say what it holds."""


@dataclass(frozen=True)
class Simulations:
    """Simulations that succeeded, in the order of their splits.

    Args:
        names: the parameters' names.
        lower: their lower bounds (parameters,).
        upper: their upper bounds (parameters,).
        theta: parameters (n, parameters).
        data: arrays by name, first axis n; those that vary in length are filled up with zeros.
        context: contexts by name, first axis n.
        lengths: length of each simulation's data (n,), where they vary; else None.
        padded: names of the data that vary in length.
    """

    names: list[str]
    lower: np.ndarray
    upper: np.ndarray
    theta: np.ndarray
    data: dict[str, np.ndarray]
    context: dict[str, np.ndarray] = field(default_factory=dict)
    lengths: np.ndarray | None = None
    padded: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.theta)

    @classmethod
    def concatenated(cls, parts: Sequence[Simulations]) -> Simulations:
        """Simulations of one store, one after the other."""
        first = parts[0]
        return replace(
            first,
            theta=np.concatenate([part.theta for part in parts]),
            data={name: np.concatenate([part.data[name] for part in parts]) for name in first.data},
            context={name: np.concatenate([part.context[name] for part in parts]) for name in first.context},
            lengths=None if first.lengths is None else np.concatenate([part.lengths for part in parts]),
        )

    def taken(self, rows: np.ndarray) -> Simulations:
        """Some of them, by their numbers or by whether each is wanted."""
        return replace(
            self,
            theta=self.theta[rows],
            data={name: values[rows] for name, values in self.data.items()},
            context={name: values[rows] for name, values in self.context.items()},
            lengths=None if self.lengths is None else self.lengths[rows],
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array and context of one simulation, by name; of those that vary in length, the longest."""
        return {name: values.shape[1:] for name, values in {**self.data, **self.context}.items()}

    @property
    def length_contexts(self) -> list[str]:
        """Names of contexts that are the length of the data in every simulation: data tell them by themselves."""
        if self.lengths is None:
            return []
        return [name for name, values in self.context.items() if np.array_equal(values, self.lengths)]

    def as_long_as(self, length: int | None, most: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Simulations that data of some length can be compared with: those that are no shorter.

        Args:
            length: of these data; None where none varies.
            most: how many simulations are wanted.

        Returns:
            Their numbers (n,), and their data up to that length (n, ...), by name.
        """
        varies = length is not None and self.lengths is not None
        rows = (np.flatnonzero(self.lengths >= length) if varies else np.arange(len(self)))[:most]
        data = self.taken(rows).data
        return rows, {name: values[:, :length] if name in self.padded else values for name, values in data.items()}

    @property
    def conditions(self) -> dict[str, np.ndarray]:
        """What a posterior depends on: data, contexts and, where lengths vary, a boolean `mask` of what is there."""
        conditions = {**self.data, **self.context}
        if self.lengths is not None:
            conditions[MASK] = mask_of(self.lengths, self.data[self.padded[0]].shape[1])
        return conditions


@dataclass(frozen=True)
class Failures:
    """All simulations of a split by how they ended.

    Args:
        names: the parameters' names.
        theta: parameters (n, parameters), failed ones included.
        status: how each ended (n,).
    """

    names: list[str]
    theta: np.ndarray
    status: np.ndarray


def simulations_of(description: Description, found: dict[str, np.ndarray]) -> Simulations:
    """Simulations from the arrays of a split (n, ...), by their names in the store."""
    lengths = found.get(LENGTH.name)
    data = {name: found[f"data/{name}"] for name in description.data}
    for name in description.padded:
        data[name][~mask_of(lengths, data[name].shape[1])] = 0
    return Simulations(
        description.parameters,
        *description.bounds,
        found["theta"],
        data,
        {name: found[f"context/{name}"] for name in description.context},
        lengths,
        tuple(description.padded),
    )


def read_failures(folder: Path, manifest: Manifest) -> Failures:
    """Reads where in parameter space the simulations of a split failed."""
    store = Store(folder / f"{manifest.store}.zarr")
    description = read_description(store)
    if description is None:
        raise StoreError(f"there is no store {store.path}: {GONE}")
    group = zarr.open_group(store.path / manifest.split, mode="r")
    return Failures(description.parameters, _read(group, "theta", manifest), _read(group, "status", manifest))


def _read(group: zarr.Group, name: str, manifest: Manifest) -> np.ndarray:
    array = group[name]
    assert isinstance(array, zarr.Array)
    if array.shape[0] < manifest.simulations:
        raise StoreError(
            f"the metadata of {group.store_path} count {array.shape[0]} simulations of {manifest.simulations}: delete "
            f"the study's manifest of {manifest.split} and start snakemake again, which seals it anew"
        )
    return np.asarray(array[: manifest.simulations])
