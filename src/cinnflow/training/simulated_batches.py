"""Batches that are simulated while training runs: each used once, or kept in a replay buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from cinnflow.training.batches import Block
from cinnflow.training.compiled_updates import UPDATES_PER_CALL

Arrays = dict[str, np.ndarray]
_ELEMENTS_STEP = 16


class OnlineBatches:
    """Fresh simulations for each update; those of the next call are made while the compiled updates of one call run.

    What is simulated depends on the seed, the epoch and the call alone.

    Args:
        simulate: simulate(batch_size, rng) gives a batch, configured: a dict of arrays, first axis the simulations.
        prepare: turns configured arrays into what the networks see.
        batch_size: simulations in a batch.
        updates_per_epoch: batches in an epoch.
        seed: seed of the simulations.
    """

    def __init__(
        self,
        simulate: Callable[[int, np.random.Generator], Arrays],
        prepare: Callable[[Arrays], Mapping[str, tf.Tensor]],
        batch_size: int,
        updates_per_epoch: int,
        seed: int,
    ) -> None:
        self.simulate = simulate
        self.prepare = prepare
        self.batch_size = batch_size
        self.updates_per_epoch = updates_per_epoch
        self.seed = seed
        self.elements = 0

    def epoch(self, number: int) -> Iterator[Block]:
        """Blocks of fresh simulations and the rows (updates, batch size) of each batch in it."""
        for arrays, updates in self.simulated(number):
            rows = np.arange(updates * self.batch_size).reshape(updates, self.batch_size)
            yield self.prepare(arrays), rows

    def simulated(self, number: int) -> Iterator[tuple[Arrays, int]]:
        """Configured simulations for `UPDATES_PER_CALL` updates, and how many updates are wanted, one call ahead."""
        starts = range(0, self.updates_per_epoch, UPDATES_PER_CALL)
        with ThreadPoolExecutor(1) as ahead:
            block = ahead.submit(self._block, number, 0)
            for start in starts:
                arrays = block.result()
                block = ahead.submit(self._block, number, start + UPDATES_PER_CALL) if start != starts[-1] else None
                yield arrays, min(UPDATES_PER_CALL, self.updates_per_epoch - start)

    def _block(self, number: int, start: int) -> Arrays:
        rng = np.random.default_rng([self.seed, number, start])
        batches = [self.simulate(self.batch_size, rng) for _ in range(UPDATES_PER_CALL)]
        arrays = pad_and_stack(batches, self.elements)
        self.elements = arrays["summary_mask"].shape[1] if "summary_mask" in arrays else 0
        return arrays


class ReplayBatches(OnlineBatches):
    """Batches drawn at random from a buffer of the latest simulations, to which each update adds one fresh batch.

    Args:
        capacity: number of batches that the buffer holds; a new one takes the place of the oldest.
        **kwargs: as for OnlineBatches.
    """

    def __init__(self, *args, capacity: int, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # A call's batches come in together, so that the buffer holds a whole number of calls.
        self.capacity = max(1, round(capacity / UPDATES_PER_CALL))
        self.buffer: list[Arrays] = []

    def epoch(self, number: int) -> Iterator[Block]:
        """Blocks of the whole buffer and the rows (updates, batch size) of each batch in it."""
        rng = np.random.default_rng([self.seed, number])
        for arrays, updates in self.simulated(number):
            self.buffer = [*self.buffer[-self.capacity + 1 :], arrays] if self.capacity > 1 else [arrays]
            filled = len(self.buffer) * UPDATES_PER_CALL * self.batch_size
            # Of constant size from the start, so that nothing is compiled again as the buffer fills.
            pool = pad_and_stack((self.buffer * self.capacity)[: self.capacity], self.elements)
            yield self.prepare(pool), rng.integers(filled, size=(updates, self.batch_size))


def finite_rows(arrays: Arrays) -> np.ndarray:
    """Which simulations (n,) are finite in all of their arrays."""
    count = len(arrays["parameters"])
    return np.all([np.isfinite(array.reshape(count, -1)).all(axis=1) for array in arrays.values()], axis=0)


def pad_and_stack(batches: Sequence[Arrays], elements: int = 0) -> Arrays:
    """Batches one after the other; where their numbers of elements differ, padded with zeros under a mask.

    Args:
        batches: configured arrays, by name.
        elements: a number of elements to pad to at least; 0 where they never differed.
    """
    lengths = {batch["summary_conditions"].shape[1] for batch in batches if "summary_conditions" in batch}
    if elements or len(lengths) > 1:
        # In steps, so that a slightly longer batch does not ask for a new compilation.
        longest = max(elements, -(-max(lengths) // _ELEMENTS_STEP) * _ELEMENTS_STEP)
        batches = [_padded(batch, longest) for batch in batches]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _padded(batch: Arrays, elements: int) -> Arrays:
    conditions = batch["summary_conditions"]
    missing = elements - conditions.shape[1]
    mask = batch.get("summary_mask", np.ones(conditions.shape[:2], bool))
    return {
        **batch,
        "summary_conditions": np.pad(conditions, ((0, 0), (0, missing), (0, 0))),
        "summary_mask": np.pad(mask, ((0, 0), (0, missing))),
    }
