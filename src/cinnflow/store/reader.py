"""Reads sealed splits: parameters and data as arrays, failed simulations left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from cinnflow.simulation.outcome import Status
from cinnflow.store.description import read_description
from cinnflow.store.layout import Store, StoreError
from cinnflow.store.seal import Manifest, check_digests


@dataclass(frozen=True)
class Simulations:
    """Simulations that succeeded, in the order of their splits.

    Args:
        names: the parameters' names.
        lower: their lower bounds (parameters,).
        upper: their upper bounds (parameters,).
        theta: parameters (n, parameters).
        data: arrays by name, first axis n.
    """

    names: list[str]
    lower: np.ndarray
    upper: np.ndarray
    theta: np.ndarray
    data: dict[str, np.ndarray]


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


def read_simulations(folder: Path, manifests: Sequence[Manifest]) -> Simulations:
    """Reads the simulations of one or more splits of a store, after checking that they are what was sealed.

    Args:
        folder: where stores stand.
        manifests: the study's manifests of the splits.

    Raises:
        StoreError: when the store is not there, or its bytes are not those of a manifest.
    """
    store = Store(folder / f"{manifests[0].store}.zarr")
    description = read_description(store)
    if description is None:
        raise StoreError(f"there is no store {store.path}: start snakemake again, which makes it")
    lower, upper = description.bounds
    theta, data = [], {name: [] for name in description.data}
    for manifest in manifests:
        check_digests(store, manifest, description)
        group = zarr.open_group(store.path / manifest.split, mode="r")
        ok = _read(group, "status", manifest) == Status.OK
        theta.append(_read(group, "theta", manifest)[ok])
        for name, arrays in data.items():
            arrays.append(_read(group, f"data/{name}", manifest)[ok])
    return Simulations(
        description.parameters,
        lower,
        upper,
        np.concatenate(theta),
        {name: np.concatenate(arrays) for name, arrays in data.items()},
    )


def read_failures(folder: Path, manifest: Manifest) -> Failures:
    """Reads where in parameter space the simulations of a split failed."""
    store = Store(folder / f"{manifest.store}.zarr")
    description = read_description(store)
    if description is None:
        raise StoreError(f"there is no store {store.path}: start snakemake again, which makes it")
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
