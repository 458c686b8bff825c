"""The loop over epochs that every regime shares: updates, validation, early stopping, best weights, checkpoints."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cinnflow.inference.parts import VALIDATED_AT_ONCE, in_parts, number_of
from cinnflow.training.batches import Batches, Block, digest_of_arrays, made_ahead
from cinnflow.training.checkpoint import Checkpoint, code_digest, own_code_digest
from cinnflow.training.compiled_updates import CompiledUpdates
from cinnflow.training.errors import TrainingError
from cinnflow.training.history import Epoch, History
from cinnflow.training.state import State

log = logging.getLogger(__name__)

_AVERAGED = 0.05
"""Share of all epochs over which weights are averaged."""
_RISE = 2.0
"""Nats, beside one for each parameter, that the loss may lie above its lowest before training counts as diverging."""
_JUDGED = 100
"""Simulations, in three batches at least, whose loss tells what weights are worth where no update has told it."""


class Epochs:
    """Training of one posterior over epochs, in a state that can be kept and taken up again.

    The learning rate follows a cosine from its first value to zero. While it is high, weights jitter around what they
    come to, and of many epochs the one with the lowest validation loss is one that had luck: what is validated, and
    stays, is the mean of the weights over about a twentieth of all epochs. Where there are validation data, the weights
    with the lowest validation loss are the ones that stay, and training stops after `patience` epochs without a lower
    one. A loss that is not finite, or that rises far above what it has been, ends training in the same way.

    On one machine, with the same number of threads and versions of the packages, a training that was killed and taken
    up again ends with the same bits as one that was not.

    Reference:
        Polyak & Juditsky (1992), Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30:838.

    Args:
        updates: of the posterior that is trained; it is adapted to the data already.
        batches: where batches come from.
        epochs: largest number of epochs.
        learning_rate: the first learning rate.
        validation: prepared simulations that are never trained on, or None.
        patience: epochs without improvement after which training stops, or None.
        history: where epochs are written.
        checkpoint: a file for the state, or None.
        meaning: what training depends on beside these arguments: with it, a checkpoint is told from those of others.
    """

    def __init__(
        self,
        updates: CompiledUpdates,
        batches: Batches,
        epochs: int,
        learning_rate: float,
        validation: Mapping[str, tf.Tensor] | None = None,
        patience: int | None = None,
        history: History | None = None,
        checkpoint: Path | None = None,
        meaning: str = "",
    ) -> None:
        self.updates = updates
        self.posterior = updates.posterior
        self.batches = batches
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.validation = validation
        self.patience = patience
        self.history = History() if history is None else history
        self.state = State(updates, batches, self.history)
        self.ended = ""
        self.checkpoint = Checkpoint(checkpoint, self._key(meaning), self.state.digest) if checkpoint else None

    def run(
        self,
        on_epoch: Callable[[Epoch], None] | None = None,
        on_updates: Callable[[int, float], None] | None = None,
    ) -> History:
        """Trains to the end, and leaves the best weights in the posterior; `ended` then says why it is the end.

        Args:
            on_epoch: called after each epoch.
            on_updates: called with the number of updates so far and the loss of the latest, several times an epoch.

        Raises:
            TrainingError: where the loss was not finite, or rose, before one epoch was complete.
        """
        suspicious = self._validate() + self._rise  # before there are other weights than the first
        self._take_up()
        coming = range(len(self.history.epochs) + 1, self.epochs + 1)
        with closing(made_ahead(chain.from_iterable(map(self.batches.epoch, coming)))) as blocks:
            while not self.ended:
                number = len(self.history.epochs) + 1
                if number > self.epochs:
                    self._end(f"all {self.epochs} epochs")
                elif self.patience is not None and number - 1 - self.state.best_epoch >= self.patience:
                    self._end(f"no lower validation loss for {self.patience} epochs")
                elif (epoch := self._train(number, blocks, suspicious, on_updates)) is not None:
                    self._keep(epoch)
                    if on_epoch is not None:
                        on_epoch(epoch)
        log.info("training ended after epoch %d: %s", len(self.history.epochs), self.ended)
        self.state.restore_best()
        return self.history

    def _end(self, reason: str) -> None:
        """Ends a training that did not break down; what its checkpoint holds then is the end."""
        self.ended = reason
        if self.checkpoint:
            self.checkpoint.write(self.state.arrays())

    def _keep(self, epoch: Epoch) -> None:
        """Enters an epoch into the history, keeps the weights that are the best, and the state where that is due."""
        self.history.append(epoch)
        if self.validation is None or epoch.validation_loss < self.state.best_loss:
            self.state.keep_best(epoch)
        if self.checkpoint and self.checkpoint.due:
            self.checkpoint.write(self.state.arrays())

    def _train(
        self,
        number: int,
        blocks: Iterator[Block],
        suspicious: float,
        on_updates: Callable[[int, float], None] | None,
    ) -> Epoch | None:
        """One epoch, of the blocks that come next; None where training breaks down in it.

        An update's loss is that of the weights before it. So none tells what the last one has made of them: they are
        looked at where there is no validation loss, or one that is `suspicious` or above.
        """
        start = time.perf_counter()
        losses: list[np.ndarray] = []
        done = (number - 1) * self.batches.updates_per_epoch
        try:
            while done < number * self.batches.updates_per_epoch:
                pool, rows = next(blocks)
                if not done:
                    self.state.lowest_loss = self._typical_loss(pool, rows)
                losses.append(self.updates(pool, rows, self._learning_rate(done + np.arange(len(rows)))))
                done += len(rows)
                if not np.all(np.isfinite(losses[-1])):
                    break
                if on_updates is not None:
                    on_updates(done, float(np.mean(losses[-1])))
        finally:  # also where training is interrupted, or a simulator fails
            # Older weights fade.
            self.state.average(1.0 / min(number, max(1, round(_AVERAGED * self.epochs))))
        found = np.concatenate(losses)
        epoch = Epoch(
            epoch=number,
            loss=float(np.mean(found)),
            validation_loss=self._validate(),
            learning_rate=float(self._learning_rate(done)),
            seconds=time.perf_counter() - start,
        )
        typical = float(np.median(found))
        if np.isfinite(epoch.loss) and not epoch.validation_loss < suspicious:
            typical = float(np.maximum(typical, self._typical_loss(pool, rows[::-1])))
        trouble = self._trouble(epoch, typical)
        if trouble:
            self._give_up(f"{trouble}, in epoch {number}")
            return None
        self.state.lowest_loss = min(self.state.lowest_loss, typical)
        return epoch

    def _learning_rate(self, updates: float | np.ndarray) -> np.ndarray:
        """The learning rate after a number of updates: a cosine from the first to zero."""
        share = np.asarray(updates) / (self.epochs * self.batches.updates_per_epoch)
        return self.learning_rate * (1 + np.cos(np.pi * share)) / 2

    def _typical_loss(self, pool: Mapping[str, tf.Tensor], rows: np.ndarray) -> float:
        """The median of the first batches' losses with the weights as they are."""
        return float(np.median(self.updates.losses(pool, rows[: max(3, _JUDGED // rows.shape[1])])))

    @property
    def _rise(self) -> float:
        """Nats that a loss may lie above an earlier one."""
        return _RISE + len(self.posterior.names)

    def _trouble(self, epoch: Epoch, typical: float) -> str:
        """What speaks against going on after an epoch, by the median loss of its batches; empty where nothing does."""
        if not np.isfinite(epoch.loss):
            return f"the loss is {epoch.loss}"
        if self.validation is not None and not np.isfinite(epoch.validation_loss):
            return f"the loss is {epoch.loss:.4g} and the validation loss {epoch.validation_loss}"
        # The median, since one extreme simulation may make the mean of an epoch anything.
        if not typical <= self.state.lowest_loss + self._rise:
            return f"the loss diverges: it rose to {typical:.4g} nats, from {self.state.lowest_loss:.4g}"
        return ""

    def _validate(self) -> float:
        if self.validation is None:
            return float("nan")

        def sum_over(part: dict[str, tf.Tensor]) -> float:
            return float(self._validation_loss(part)) * number_of(part)

        return sum(in_parts(sum_over, self.validation, VALIDATED_AT_ONCE)) / number_of(self.validation)

    @tf.function(autograph=False, reduce_retracing=True)
    def _validation_loss(self, part: dict[str, tf.Tensor]) -> tf.Tensor:
        return self.posterior.compute_loss(part)

    def _give_up(self, trouble: str) -> None:
        if not self.state.best_epoch:
            self.state.restore_best()
            raise TrainingError(
                f"training broke down before it got anywhere: {trouble}; take a lower learning rate, or look for "
                "extreme values in the simulations, or batches of which none is finite"
            )
        self.ended = f"it broke down: {trouble}; the weights of epoch {self.state.best_epoch} are kept"
        log.warning("training broke down: %s; the weights of epoch %d are kept", trouble, self.state.best_epoch)

    def _key(self, meaning: str) -> str:
        """All that a training depends on, so that no other one's checkpoint is taken for its own."""
        parts = [
            meaning,
            f"{code_digest()} {np.__version__} {tf.__version__} {keras.__version__} {tf.config.list_logical_devices()}",
            f"{tf.config.threading.get_intra_op_parallelism_threads()} threads",
            f"{self.epochs} {self.learning_rate} {self.patience}",
            str(_without_names(self.posterior.get_config())),
            own_code_digest(self.posterior._flatten_layers()),
            self.batches.digest(),
            " ".join(self.state.arrays()),
            "" if self.validation is None else digest_of_arrays(self.validation),
        ]
        return "\n".join(parts)

    def _take_up(self) -> None:
        """Goes on from the checkpoint, where there is one of this training."""
        kept = self.checkpoint.read() if self.checkpoint else {}
        if kept:
            self.state.take_up(kept)
            log.info("going on from the checkpoint after epoch %d", len(self.history.epochs))


def _without_names(config: Any) -> Any:
    """A configuration without the names that Keras counts up as it makes layers."""
    if isinstance(config, Mapping):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    return [_without_names(value) for value in config] if isinstance(config, list | tuple) else config
