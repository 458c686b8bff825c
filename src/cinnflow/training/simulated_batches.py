"""Batches that are simulated while training runs: each used once, or kept in a replay buffer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
import tensorflow as tf

from cinnflow.training.batches import (
    Arrays,
    Block,
    elements_under_mask,
    finite_rows,
    pad_and_stack,
    padded,
    repeat_rows,
)
from cinnflow.training.compiled_updates import UPDATES_PER_CALL
from cinnflow.training.errors import TrainingError
from cinnflow.training.simulation_ahead import Simulated, SimulationAhead

log = logging.getLogger(__name__)


class OnlineBatches:
    """Fresh simulations for each update; the next ones are made while the compiled updates of one call run.

    Args:
        simulations: what makes them.
        configure: turns a batch into a dict of arrays by the networks' names, first axis the simulations.
        prepare: turns such arrays into what the networks see.
        batch_size: simulations in a batch.
        updates_per_epoch: batches in an epoch.
        epochs: how many epochs there will be.
        seed: seed of the simulations.
        padded_to: number of elements that sets are padded to; None where none has been so far.
    """

    def __init__(
        self,
        simulations: SimulationAhead,
        configure: Callable[[Simulated], Arrays],
        prepare: Callable[[Arrays], Mapping[str, tf.Tensor]],
        batch_size: int,
        updates_per_epoch: int,
        epochs: int,
        seed: int,
        padded_to: int | None = None,
    ) -> None:
        self.simulations = simulations
        self.configure = configure
        self.prepare = prepare
        self.batch_size = batch_size
        self.updates_per_epoch = updates_per_epoch
        self.epochs = epochs
        self.seed = seed
        self.padded_to = padded_to
        self._stream: Iterator[Simulated] | None = None
        self._left_out = 0

    @property
    def updates_per_call(self) -> int:
        """Updates that go into one block."""
        return min(UPDATES_PER_CALL, self.updates_per_epoch)

    def epoch(self, number: int) -> Iterator[Block]:
        for _, arrays, updates in self._blocks(number):
            pool = repeat_rows(arrays, self.updates_per_call * self.batch_size)
            yield self.prepare(pool), np.arange(updates * self.batch_size).reshape(updates, self.batch_size)

    def digest(self) -> str:
        # How the simulations turned out stands in the networks' standardization.
        return f"{type(self).__name__} {self.batch_size} {self.updates_per_epoch} {self.epochs} {self.seed}"

    def _blocks(self, number: int, before: int = 0) -> Iterator[tuple[int, Arrays, int]]:
        """Number of the first batch of each block of an epoch, the block's batches as one, and how many they are.

        Args:
            number: of the epoch.
            before: batches that are made once more where training is taken up again.
        """
        first = (number - 1) * self.updates_per_epoch
        if self._stream is None:
            first = max(0, first - before)
            stop, ahead = self.epochs * self.updates_per_epoch, 2 * self.updates_per_call
            self._stream = self.simulations.batches(self.seed, self.batch_size, first, stop, ahead)
        while first < number * self.updates_per_epoch:
            # Blocks end where epochs do, also those that are made once more.
            end = (first // self.updates_per_epoch + 1) * self.updates_per_epoch
            count = min(self.updates_per_call, end - first)
            arrays = pad_and_stack(self._finite(map(self.configure, islice(self._stream, count))), self.padded_to)
            self.padded_to = elements_under_mask(arrays)
            yield first, arrays, count
            first += count
        if self._left_out:
            log.warning("left out %d simulations that are not finite, in epoch %d", self._left_out, number)
            self._left_out = 0

    def _finite(self, batches: Iterable[Arrays]) -> list[Arrays]:
        """Batches of finite simulations; such stand in for those that are not, of the same batch where it has any."""
        found = []
        for arrays in batches:
            finite = finite_rows(arrays)
            found.append((arrays if finite.all() else {name: array[finite] for name, array in arrays.items()}, finite))
            self._left_out += int(np.sum(~finite))
        stand_in = next((arrays for arrays, finite in found if finite.any()), None)
        if stand_in is None:
            raise TrainingError(
                f"none of the {sum(len(finite) for _, finite in found)} simulations of {len(found)} batches is finite: "
                "mend the simulator"
            )
        return [repeat_rows(arrays if finite.any() else stand_in, len(finite)) for arrays, finite in found]


class ReplayBatches(OnlineBatches):
    """Batches drawn at random from a buffer of the latest simulations, to which each update adds one fresh batch.

    Where training is taken up again, the buffer's simulations are made once more.

    Args:
        capacity: number of batches that the buffer holds, if training makes as many; a new one takes the place of the
            oldest.
        order_seed: seed of what is drawn from the buffer.
        **kwargs: as for OnlineBatches.
    """

    def __init__(self, *args, capacity: int, order_seed: int, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.order_seed = order_seed
        self.capacity = min(capacity, self.epochs * self.updates_per_epoch)
        self.buffer: Arrays = {}

    @property
    def updates_per_call(self) -> int:
        # A block comes into the buffer as a whole.
        return min(super().updates_per_call, self.capacity)

    def epoch(self, number: int) -> Iterator[Block]:
        # Whole epochs are made once more, so that their blocks are as they were.
        epochs = -(-self.capacity // self.updates_per_epoch)
        for first, arrays, updates in self._blocks(number, before=epochs * self.updates_per_epoch):
            self._keep(first, arrays, updates)
            if first < (number - 1) * self.updates_per_epoch:
                continue
            filled = min(first + updates, self.capacity) * self.batch_size
            rng = np.random.default_rng([self.order_seed, first])
            pool = {name: tf.constant(array) for name, array in self.buffer.items()}
            yield pool, rng.integers(filled, size=(updates, self.batch_size))

    def digest(self) -> str:
        return f"{super().digest()} {self.capacity} {self.order_seed}"

    def _keep(self, first: int, arrays: Arrays, updates: int) -> None:
        """Puts a block's batches, prepared, into their places of the buffer: batch i is at i modulo the capacity."""
        prepared = self.prepare(repeat_rows(arrays, self.updates_per_call * self.batch_size))
        fresh = {name: tensor.numpy() for name, tensor in prepared.items()}
        if not self.buffer:
            places_held = self.capacity * self.batch_size
            self.buffer = {name: np.zeros((places_held, *a.shape[1:]), a.dtype) for name, a in fresh.items()}
        self.buffer, fresh = _alike(self.buffer, fresh)
        places = np.arange(first, first + updates) % self.capacity
        rows = (places[:, None] * self.batch_size + np.arange(self.batch_size)).ravel()
        for name, array in fresh.items():
            self.buffer[name][rows] = array[: len(rows)]


def _alike(*several: Arrays) -> list[Arrays]:
    """The same arrays, each of the same number of elements, and under a mask where they differ or any has one."""
    sizes = [arrays["summary_conditions"].shape[1] for arrays in several if "summary_conditions" in arrays]
    if len(set(sizes)) > 1 or any("summary_mask" in arrays for arrays in several):
        return [padded(arrays, max(sizes)) for arrays in several]
    return list(several)
