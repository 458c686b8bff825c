"""The loop over epochs that every regime shares: updates, validation, early stopping, best weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.training.batches import Block
from cinnflow.training.compiled_updates import CompiledUpdates
from cinnflow.training.history import Epoch, History

log = logging.getLogger(__name__)

_VALIDATED_AT_ONCE = 2048


class TrainingError(RuntimeError):
    """Training that came to nothing; the message says what was seen."""


class Batches(Protocol):
    """A regime's source of batches."""

    updates_per_epoch: int

    def epoch(self, number: int) -> Iterator[Block]: ...


class Epochs:
    """Training of one posterior over epochs, in a state that can be kept and taken up again.

    The learning rate follows a cosine from its first value to zero. Where there are validation data, the weights with
    the lowest validation loss are the ones that stay, and training stops after `patience` epochs without a lower one.
    A loss that is not finite ends training in the same way.

    Args:
        posterior: what is trained; adapted to the data already.
        batches: where batches come from.
        epochs: largest number of epochs.
        learning_rate: the first learning rate.
        validation: prepared simulations that are never trained on, or None.
        patience: epochs without improvement after which training stops, or None.
        history: where epochs are written.
    """

    def __init__(
        self,
        posterior: AmortizedPosterior,
        batches: Batches,
        epochs: int,
        learning_rate: float,
        validation: Mapping[str, tf.Tensor] | None = None,
        patience: int | None = None,
        history: History | None = None,
    ) -> None:
        self.posterior = posterior
        self.batches = batches
        self.epochs = epochs
        self.validation = validation
        self.patience = patience
        self.history = History() if history is None else history
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * batches.updates_per_epoch)
        self.optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
        self.updates = CompiledUpdates(posterior, self.optimizer)
        self.best_loss = np.inf
        self.best_epoch = 0
        self.best_weights = self._weights()

    def run(self, on_epoch: Callable[[Epoch], None] | None = None) -> History:
        """Trains to the end, and leaves the best weights in the posterior.

        Raises:
            TrainingError: where the loss was not finite before one epoch was complete.
        """
        for number in range(len(self.history.epochs) + 1, self.epochs + 1):
            epoch = self._train(number)
            if not (np.isfinite(epoch.loss) and (self.validation is None or np.isfinite(epoch.validation_loss))):
                self._give_up(epoch)
                break
            self.history.append(epoch)
            if self.validation is None or epoch.validation_loss < self.best_loss:
                self.best_loss, self.best_epoch = epoch.validation_loss, number
                self.best_weights = self._weights()
            if on_epoch is not None:
                on_epoch(epoch)
            if self.patience is not None and number - self.best_epoch >= self.patience:
                log.info("no lower validation loss for %d epochs: stopping after epoch %d", self.patience, number)
                break
        self._restore()
        return self.history

    def _train(self, number: int) -> Epoch:
        start = time.perf_counter()
        losses = []
        for pool, rows in self.batches.epoch(number):
            losses.append(self.updates(pool, rows))
            if not np.all(np.isfinite(losses[-1])):
                break
        return Epoch(
            epoch=number,
            loss=float(np.mean(np.concatenate(losses))),
            validation_loss=self._validate(),
            learning_rate=float(self.optimizer.learning_rate),
            seconds=time.perf_counter() - start,
        )

    def _validate(self) -> float:
        if self.validation is None:
            return float("nan")
        count = len(self.validation["parameters"])
        total = 0.0
        for start in range(0, count, _VALIDATED_AT_ONCE):
            part = {name: array[start : start + _VALIDATED_AT_ONCE] for name, array in self.validation.items()}
            total += float(self._validation_loss(part)) * len(part["parameters"])
        return total / count

    @tf.function(autograph=False, reduce_retracing=True)
    def _validation_loss(self, part: dict[str, tf.Tensor]) -> tf.Tensor:
        return self.posterior.compute_loss(part)

    def _give_up(self, epoch: Epoch) -> None:
        seen = f"loss {epoch.loss} and validation loss {epoch.validation_loss} in epoch {epoch.epoch}"
        if not self.best_epoch:
            self._restore()
            raise TrainingError(
                f"training broke down before it got anywhere: {seen}; take a lower learning rate, or look for extreme "
                "values in the simulations"
            )
        log.warning("training broke down: %s; the weights of epoch %d are kept", seen, self.best_epoch)

    def _weights(self) -> list[np.ndarray]:
        return [weight.numpy() for weight in self.posterior.trainable_variables]

    def _restore(self) -> None:
        for variable, value in zip(self.posterior.trainable_variables, self.best_weights, strict=True):
            variable.assign(value)
