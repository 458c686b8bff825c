"""Batches of simulations that do not fit into memory: read from the store while training runs, well mixed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from cinnflow.store.reader import Simulations
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.batches import Arrays, Block, repeat_rows
from cinnflow.training.compiled_updates import UPDATES_PER_CALL

log = logging.getLogger(__name__)

SAMPLE = 2**16
"""Simulations that standardization is taken from."""


class StreamedBatches:
    """Batches of a store's simulations, each used once an epoch.

    The chunks of all rounds are read in a random order, several into a pool at a time, and batches are drawn without
    replacement from the shuffled pool; the next pool is read meanwhile. The order depends on the seed and the epoch's
    number alone. Simulations that fill no batch sit the epoch out.

    Args:
        simulations: what is read.
        held_out: which of them are not trained on (simulations,).
        configure: turns simulations into a dict of arrays by the networks' names.
        prepare: turns such arrays into what the networks see.
        batch_size: simulations in a batch; all of them when there are fewer.
        pool_bytes: memory for the simulations of one pool; there are two, a copy of one, and a block on its way.
        seed: seed of the order.
    """

    padded_to = None

    def __init__(
        self,
        simulations: StoredSimulations,
        held_out: np.ndarray,
        configure: Callable[[Simulations], Arrays],
        prepare: Callable[[Arrays], Mapping[str, tf.Tensor]],
        batch_size: int,
        pool_bytes: int,
        seed: int,
    ) -> None:
        self.simulations = simulations
        self.held_out = held_out
        self.configure = configure
        self.prepare = prepare
        self.count = int(np.count_nonzero(~held_out))
        self.batch_size = min(batch_size, self.count)
        largest = int(np.max(np.diff(simulations.starts))) * simulations.bytes_each
        self.chunks_at_once = max(1, pool_bytes // max(1, largest))
        # Arranging and standardizing a block takes a few times its memory, beside the block that is trained on.
        batch_bytes = self.batch_size * simulations.bytes_each
        most = min(UPDATES_PER_CALL, self.updates_per_epoch, pool_bytes // (5 * batch_bytes))
        self.updates_per_call = max(1, most)
        self.seed = seed

    @property
    def updates_per_epoch(self) -> int:
        return self.count // self.batch_size

    def epoch(self, number: int) -> Iterator[Block]:
        block = self.updates_per_call * self.batch_size
        rng = np.random.default_rng([self.seed, number])
        left = None
        pools = self._pools(rng.permutation(self.simulations.chunks))
        for last, pool in pools:
            if left is not None:
                pool = Simulations.concatenated([left, pool])
            order = rng.permutation(len(pool.theta))
            whole = len(order) // block * block
            stop = len(order) // self.batch_size * self.batch_size if last else whole
            for start in range(0, stop, block):
                arrays = self.configure(pool.taken(order[start : min(start + block, stop)]))
                updates = len(arrays["parameters"]) // self.batch_size
                rows = np.arange(updates * self.batch_size).reshape(updates, self.batch_size)
                yield self.prepare(repeat_rows(arrays, block)), rows
            left = pool.taken(order[stop:])

    def digest(self) -> str:
        held_out = np.packbits(self.held_out).tobytes().hex()
        sizes = f"{self.batch_size} {self.chunks_at_once} {self.updates_per_call}"
        return f"{type(self).__name__} {sizes} {self.seed} {self.simulations.digest} {held_out}"

    def _pools(self, chunks: np.ndarray) -> Iterator[tuple[bool, Simulations]]:
        """The simulations to train on of some chunks after the other, and whether they are the last ones."""
        groups = [chunks[start : start + self.chunks_at_once] for start in range(0, len(chunks), self.chunks_at_once)]
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._read, groups[0])
            for following in [*groups[1:], None]:
                pool = coming.result()
                if following is not None:
                    coming = ahead.submit(self._read, following)
                yield following is None, pool

    def _read(self, chunks: np.ndarray) -> Simulations:
        return Simulations.concatenated([self._part(chunk, ~self.held_out) for chunk in chunks])

    def _part(self, chunk: int, wanted: np.ndarray) -> Simulations:
        return self.simulations.read(chunk).taken(wanted[slice(*self.simulations.starts[[chunk, chunk + 1]])])


def samples(
    simulations: StoredSimulations, held_out: np.ndarray, most_bytes: int, seed: int
) -> tuple[Simulations, Simulations]:
    """Some of the simulations to train on, and as many as there is room for of those held out, in one pass.

    Args:
        simulations: what is read.
        held_out: which of them are not trained on (simulations,).
        most_bytes: memory for each of the two.
        seed: seed of which these are.
    """
    room = most_bytes // simulations.bytes_each
    rng = np.random.default_rng(seed)
    to_train_on = _some(~held_out, min(SAMPLE, room), rng)
    to_validate = _some(held_out, room, rng)
    if to_validate.sum() < held_out.sum():
        log.info("the validation loss is that of %d of %d simulations held out", to_validate.sum(), held_out.sum())
    parts: tuple[list[Simulations], list[Simulations]] = ([], [])
    for chunk in range(simulations.chunks):
        whole = simulations.read(chunk)
        rows = slice(*simulations.starts[[chunk, chunk + 1]])
        for part, wanted in zip(parts, (to_train_on, to_validate), strict=True):
            part.append(whole.taken(wanted[rows]))
    return Simulations.concatenated(parts[0]), Simulations.concatenated(parts[1])


def _some(candidates: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """A random choice of at most this many of the candidates (simulations,), at least one."""
    chosen = rng.permutation(np.flatnonzero(candidates))[: max(1, most)]
    return np.isin(np.arange(len(candidates)), chosen)
