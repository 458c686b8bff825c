"""Where the batches of an epoch come from: what every source of them offers, and simulations that are in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
import tensorflow as tf

from cinnflow.inference.parts import in_parts
from cinnflow.training.compiled_updates import UPDATES_PER_CALL

T = TypeVar("T")
Arrays = dict[str, np.ndarray]
Block = tuple[Mapping[str, tf.Tensor], np.ndarray]
"""Prepared simulations, and the rows (updates, batch size) of them that make up each batch."""

_ELEMENTS_STEP = 16


class Batches(Protocol):
    """A regime's source of batches. An epoch depends on the seed and its number alone, whatever ran before it."""

    batch_size: int
    updates_per_epoch: int
    padded_to: int | None
    """Number of elements that sets are padded to so far, under a mask; None while none has been."""

    def epoch(self, number: int) -> Iterator[Block]:
        """Blocks of at most `UPDATES_PER_CALL` updates each, and of `updates_per_epoch` together."""

    def digest(self) -> str:
        """What tells these batches from others."""


class InMemoryBatches:
    """Batches of a pool of prepared simulations, shuffled as a whole anew for each epoch.

    Simulations that fill no batch sit the epoch out.

    Args:
        pool: prepared simulations, by name, first axis the simulations.
        batch_size: simulations in a batch; all of them when there are fewer.
        seed: seed of the order.
        count: how many of the pool, from the first on, are simulations to train on; None: all.
    """

    padded_to = None

    def __init__(self, pool: Mapping[str, tf.Tensor], batch_size: int, seed: int, count: int | None = None) -> None:
        self.pool = pool
        self.count = len(next(iter(pool.values()))) if count is None else count
        self.batch_size = min(batch_size, self.count)
        self.seed = seed

    @property
    def updates_per_epoch(self) -> int:
        return self.count // self.batch_size

    def epoch(self, number: int) -> Iterator[Block]:
        updates = self.updates_per_epoch
        order = np.random.default_rng([self.seed, number]).permutation(self.count)
        rows = order[: updates * self.batch_size].reshape(updates, self.batch_size)
        for start in range(0, updates, UPDATES_PER_CALL):
            yield self.pool, rows[start : start + UPDATES_PER_CALL]

    def digest(self) -> str:
        return f"{type(self).__name__} {self.batch_size} {self.seed} {digest_of_arrays(self.pool)}"


def made_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in a thread while training is at the one before."""
    thread = ThreadPoolExecutor(1)
    try:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
    finally:
        # Who interrupts training does not sit out the making of the next one.
        thread.shutdown(wait=False)


def digest_of_arrays(arrays: Mapping[str, tf.Tensor]) -> str:
    """A digest of arrays by name."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def finite_rows(arrays: Arrays) -> np.ndarray:
    """Which simulations (n,) are finite in all of their arrays."""
    count = len(arrays["parameters"])
    return np.all([np.isfinite(array.reshape(count, -1)).all(axis=1) for array in arrays.values()], axis=0)


def pad_and_stack(batches: Sequence[Arrays], padded_to: int | None = None) -> Arrays:
    """Batches one after the other; where their numbers of elements differ, padded with zeros under a mask.

    Args:
        batches: configured arrays, by name.
        padded_to: number of elements that earlier batches were padded to, and these are at least; None: they were not.
    """
    lengths = {batch["summary_conditions"].shape[1] for batch in batches if "summary_conditions" in batch}
    if padded_to is not None or len(lengths) > 1:
        # In steps, so that a slightly longer batch does not ask for a new compilation.
        longest = max(padded_to or 0, -(-max(lengths) // _ELEMENTS_STEP) * _ELEMENTS_STEP)
        batches = [padded(batch, longest) for batch in batches]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def elements_under_mask(arrays: Arrays) -> int | None:
    """Number of elements of sets that have a mask; None of others."""
    return arrays["summary_mask"].shape[1] if "summary_mask" in arrays else None


def prepared_in_parts(prepare: Callable[[Arrays], dict[str, tf.Tensor]], arrays: Arrays) -> dict[str, tf.Tensor]:
    """Simulations prepared a part at a time: what comes and goes in between takes more memory than they do."""
    parts = list(in_parts(prepare, arrays))
    return {name: tf.concat([part.pop(name) for part in parts], axis=0) for name in list(parts[0])}


def repeat_rows(arrays: Mapping[str, np.ndarray], count: int) -> Arrays:
    """The first `count` rows; where there are fewer, they are repeated, so that nothing is compiled anew."""
    held = len(next(iter(arrays.values())))
    if held == count:
        return dict(arrays)
    rows = np.resize(np.arange(held), count)
    return {name: array[rows] for name, array in arrays.items()}


def padded(batch: Arrays, elements: int) -> Arrays:
    """A batch with this number of elements, the missing ones zero, and a mask that says which are there."""
    conditions = batch["summary_conditions"]
    missing = elements - conditions.shape[1]
    if not missing and "summary_mask" in batch:
        return batch
    mask = batch.get("summary_mask", np.ones(conditions.shape[:2], bool))
    return {
        **batch,
        "summary_conditions": np.pad(conditions, ((0, 0), (0, missing), (0, 0))),
        "summary_mask": np.pad(mask, ((0, 0), (0, missing))),
    }
