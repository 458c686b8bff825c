"""Reads a split that no seal has checked, as that of an observation's predictive simulations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinnflow.simulation.outcome import Status
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.layout import Batch, Store, StoreError


@dataclass(frozen=True)
class Unsealed:
    """All simulations of such a split.

    Args:
        ok: which of them succeeded (n,).
        data: arrays by name, first axis n, NaN for those that failed; none where all of them did, and nothing tells
            their shapes.
        padded: names of the data that vary in length.
    """

    ok: np.ndarray
    data: dict[str, np.ndarray]
    padded: tuple[str, ...]


def read_unsealed(store: Store, split: str, batches: int, batch_size: int) -> Unsealed:
    """Reads and decodes so many batches of a split.

    Raises:
        StoreError: where one of them is not there, or damaged.
    """
    description = read_description(store)
    try:
        found = [decode_batch(Batch(store, split, number, batch_size), description) for number in range(batches)]
    except StoreError as error:
        raise StoreError(
            f"{error}. `cinnflow verify --repair`, for this study, takes that batch back, and the next snakemake runs "
            "it again"
        ) from error
    ok = np.concatenate([batch["status"] for batch in found]) == Status.OK
    if description is None:
        return Unsealed(ok, {}, ())
    data = {name: np.concatenate([batch[f"data/{name}"] for batch in found]) for name in description.data}
    return Unsealed(ok, data, tuple(description.padded))
