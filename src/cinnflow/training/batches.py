"""Where the batches of an epoch come from when the simulations are in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from cinnflow.training.compiled_updates import UPDATES_PER_CALL

Block = tuple[Mapping[str, tf.Tensor], np.ndarray]


class InMemoryBatches:
    """Batches of a pool of prepared simulations, shuffled as a whole anew for each epoch.

    An epoch's order depends on the seed and the epoch's number alone. Simulations that fill no batch sit it out.

    Args:
        pool: prepared simulations, by name, first axis the simulations.
        batch_size: simulations in a batch; all of them when there are fewer.
        seed: seed of the order.
    """

    def __init__(self, pool: Mapping[str, tf.Tensor], batch_size: int, seed: int) -> None:
        self.pool = pool
        self.count = len(next(iter(pool.values())))
        self.batch_size = min(batch_size, self.count)
        self.seed = seed

    @property
    def updates_per_epoch(self) -> int:
        return self.count // self.batch_size

    def epoch(self, number: int) -> Iterator[Block]:
        """Blocks of the pool and the rows (updates, batch size) of each batch in it."""
        updates = self.updates_per_epoch
        order = np.random.default_rng([self.seed, number]).permutation(self.count)
        rows = order[: updates * self.batch_size].reshape(updates, self.batch_size)
        for start in range(0, updates, UPDATES_PER_CALL):
            yield self.pool, rows[start : start + UPDATES_PER_CALL]
