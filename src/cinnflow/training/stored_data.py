"""Training on simulations that are there: in memory where they fit, else streamed from the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cinnflow.config import FEWEST, Training
from cinnflow.store.reader import Simulations
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.batches import Arrays
from cinnflow.training.errors import TrainingError
from cinnflow.training.held_out import held_out_of
from cinnflow.training.history import History
from cinnflow.training.memory import room_for_data
from cinnflow.training.purposes import purpose_seed
from cinnflow.training.streamed_batches import StreamedBatches, samples
from cinnflow.training.trainer import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredData:
    """Simulations that are there, shared out between validation and training.

    Args:
        validation: those held out; where they are streamed, as many of them as fit into memory.
        train: the training on the others.
        streamed: whether they are read while it trains, as they do not fit into memory.
    """

    validation: Simulations
    train: Callable[[], History]
    streamed: bool


def stored_data(
    trainer: Trainer, source: Simulations | StoredSimulations, training: Training, seed: int, memory: int | None = None
) -> StoredData:
    """What a trainer trains on and validates with.

    Args:
        trainer: of the posterior.
        source: all simulations.
        training: settings, with a value for each that the regime uses.
        seed: seed of which are held out, and of the order of those that are streamed.
        memory: bytes that may be used; None: they all fit.

    Raises:
        TrainingError: for simulations that are not finite, or too few of them.
    """
    held_out = _held_out(source, training.validation_share, seed)
    if isinstance(source, StoredSimulations):
        if memory and len(source) * source.bytes_each > room_for_data(memory):
            log.info("%d simulations do not fit into %d MB and are streamed", len(source), memory // 10**6)
            return _streamed(trainer, source, held_out, training, seed, room_for_data(memory))
        source = source.read_all()
    return _in_memory(trainer, source, held_out, training)


def _in_memory(trainer: Trainer, simulations: Simulations, held_out: np.ndarray, training: Training) -> StoredData:
    _check_finite(simulations)
    validation = simulations.taken(held_out)

    def train() -> History:
        return trainer.train_offline(
            _as_simulated(simulations.taken(~held_out)),
            epochs=training.epochs,
            batch_size=training.batch_size,
            validation_sims=_as_simulated(validation),
            patience=training.patience,
        )

    return StoredData(validation, train, streamed=False)


def _streamed(
    trainer: Trainer, simulations: StoredSimulations, held_out: np.ndarray, training: Training, seed: int, room: int
) -> StoredData:
    posterior = trainer.amortizer
    sample, validation = samples(simulations, held_out, room // 2, seed)
    if not posterior.adapted:
        posterior.adapt(sample.theta, sample.conditions)

    def configure(part: Simulations) -> Arrays:
        _check_finite(part)
        posterior.transform.check(part.theta, posterior.names)
        return {"parameters": part.theta, **posterior.configure(part.conditions)}

    # Two pools, what is shuffled of one, and its arrays on their way to the networks.
    batches = StreamedBatches(simulations, held_out, configure, posterior.prepare, training.batch_size, room, seed=seed)
    arrays = configure(validation)
    return StoredData(validation, lambda: trainer.train_on(batches, training, arrays), streamed=True)


def _held_out(source: Simulations | StoredSimulations, share: float, seed: int) -> np.ndarray:
    """Whether each simulation is held out for validation (simulations,)."""
    count = len(source)
    if count < FEWEST:
        raise TrainingError(f"training takes at least {FEWEST} simulations, got {count}")
    places = source.numbers if isinstance(source, StoredSimulations) else np.arange(count)
    held_out = held_out_of(places, share, purpose_seed(seed, 0, "validation"))
    if held_out.all():
        raise TrainingError(
            f"validation_share {share:g} holds back all {count} simulations: give more simulations, or a smaller share"
        )
    return held_out


def _as_simulated(simulations: Simulations) -> dict[str, Any]:
    return {"prior_draws": simulations.theta, "sim_data": simulations.conditions}


def _check_finite(simulations: Simulations) -> None:
    for name, array in {"theta": simulations.theta, **simulations.data, **simulations.context}.items():
        bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            raise TrainingError(
                f"training takes finite simulations; {name} has {bad.sum()} of {len(array)} that are not, the first in "
                f"row {np.argmax(bad)}: leave out simulations that failed"
            )
