"""A posterior as a configuration asks for it: from simulations that are there, or from a model that makes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cinnflow.config import FEWEST, Training
from cinnflow.config_network import Network
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.saving import check_comes_back
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.store.reader import Simulations
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.batches import Arrays
from cinnflow.training.defaults import complete_network, complete_training
from cinnflow.training.errors import TrainingError
from cinnflow.training.gain import Gain, density_before
from cinnflow.training.held_out import held_out_of
from cinnflow.training.history import Epoch, History
from cinnflow.training.memory import room_for_data
from cinnflow.training.streamed_batches import StreamedBatches, samples
from cinnflow.training.trainer import Trainer
from cinnflow.training.untrained import untrained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """What came of a training.

    Args:
        posterior: with the weights of the lowest validation loss, those of a warm start among them.
        history: its epochs.
        ended: why it came to its end.
        share_left_out: where training simulates, about how many of its simulations were not finite.
        streamed: whether simulations were read while it trained, as they do not fit into memory.
        gain: what it has gained over the fit before; None without one.
    """

    posterior: AmortizedPosterior
    history: History
    ended: str
    share_left_out: float
    streamed: bool
    gain: Gain | None


def fit(
    source: Simulations | StoredSimulations | GenerativeModel,
    *,
    network: Network,
    training: Training,
    seed: int,
    own_summary: Callable[..., keras.Layer] | None = None,
    warm_start: AmortizedPosterior | None = None,
    before: AmortizedPosterior | None = None,
    inside: Callable[[np.ndarray], np.ndarray] | None = None,
    memory: int | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    history_path: str | Path | None = None,
    checkpoint_path: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Trains a posterior.

    Args:
        source: simulations; or for the regimes online and replay, a bound generative model.
        network: which networks.
        training: how they are trained.
        seed: seed of initial weights, validation split, order of batches, simulations and dropout; the same seed gives
            the same weights on one machine with the same number of threads.
        own_summary: what gives the summary network, where `network` names a class of the model file.
        warm_start: a posterior for the same parameters and data from which training goes on.
        before: the posterior of the round before, which the new one is compared with; it may be `warm_start`, whose
            weights are then kept where no epoch has better ones.
        inside: whether parameters (n, parameters) lie in the region (n,) that all of `source` is from, where that is
            smaller than the one before; None: the same.
        memory: bytes that may be used; stored simulations that do not fit are streamed. None: they all fit.
        workers: processes that simulate; as for `Trainer`.
        timeout: seconds for one simulation in these processes; None: no limit.
        history_path: a CSV file that is rewritten after each epoch.
        checkpoint_path: a folder from which a training that was killed goes on.
        on_epoch: called after each epoch.

    Raises:
        TrainingError: for simulations that are not finite, or too few of them, another model's `warm_start`, or where
            the loss was not finite, or rose, before one epoch was complete.
        SummaryNetworkError: where a summary network of the user's own gives no summaries, or cannot be saved and read.
    """
    model = source if isinstance(source, GenerativeModel) else None
    about = source if model is None else model.prior
    count = 0 if model is not None else _count(source)
    training = complete_training(training, count)
    posterior = warm_start
    if posterior is None:
        network = complete_network(network, training, count)
        posterior = untrained(network, about, seed, own_summary)
    elif posterior.names != list(about.names):
        raise TrainingError(
            f"a warm start takes a posterior for the same parameters: it has {', '.join(posterior.names)}, and the "
            f"simulations have {', '.join(about.names)}"
        )
    chosen = training.model_dump(exclude_none=True, exclude={"ensemble"})
    if warm_start is None:
        chosen |= network.inference.model_dump(include={"dropout_prob", "kernel_regularizer"})
    log.info("settings: %s", ", ".join(f"{name} {value}" for name, value in chosen.items()))
    trainer = Trainer(
        posterior,
        model,
        default_lr=training.learning_rate,
        history_path=history_path,
        checkpoint_path=checkpoint_path,
        on_epoch=on_epoch,
        simulation_workers=workers,
        simulation_timeout=timeout,
        seed=seed,
        on_start=None if own_summary is None else lambda: check_comes_back(posterior),
    )
    if model is not None:
        history = _fit_simulating(trainer, training)
        return Fit(posterior, history, trainer.ended, trainer.share_left_out, streamed=False, gain=None)
    streamed = isinstance(source, StoredSimulations) and memory and count * source.bytes_each > room_for_data(memory)
    if streamed:
        log.info("%d simulations do not fit into %d MB and are streamed", count, memory // 10**6)
        validation, train = _streamed(trainer, source, training, room_for_data(memory), seed)
    else:
        validation, train = _in_memory(trainer, source, training, seed)
    # Now, since a warm start changes its weights.
    earlier = None if before is None else density_before(before, validation, inside, seed)
    start = None if warm_start is None else posterior.get_weights()
    history = train()
    ended, gain = trainer.ended, None
    if earlier is not None:
        later = posterior.log_prob(validation.theta, validation.conditions)
        gain = Gain.between(earlier, later, len(posterior.names))
        log.info("held-out log density: %+.4f nats per parameter over the round before", gain.nats_per_parameter)
        if start is not None and warm_start is before and gain.nats_per_parameter < 0:
            posterior.set_weights(start)
            ended, gain = f"{ended}; none was better than the fit before, whose weights are kept", Gain(0.0, 0.0)
            log.warning("no epoch was better than the fit before, whose weights are kept")
    return Fit(posterior, history, ended, 0.0, bool(streamed), gain)


def _fit_simulating(trainer: Trainer, training: Training) -> History:
    settings = {
        "epochs": training.epochs,
        "iterations_per_epoch": training.iterations_per_epoch,
        "batch_size": training.batch_size,
        "validation_sims": training.validation_sims,
        "patience": training.patience,
    }
    if training.regime == "online":
        return trainer.train_online(**settings)
    return trainer.train_experience_replay(buffer_capacity=training.buffer_capacity, **settings)


def _in_memory(
    trainer: Trainer, source: Simulations | StoredSimulations, training: Training, seed: int
) -> tuple[Simulations, Callable[[], History]]:
    """What is held out of simulations that fit into memory, and the training on the others."""
    held_out = _held_out(source, training.validation_share, seed)
    simulations = source.read_all() if isinstance(source, StoredSimulations) else source
    _check_finite(simulations)
    validation = simulations.taken(held_out)
    return validation, lambda: trainer.train_offline(
        _as_simulated(simulations.taken(~held_out)),
        epochs=training.epochs,
        batch_size=training.batch_size,
        validation_sims=_as_simulated(validation),
        patience=training.patience,
    )


def _streamed(
    trainer: Trainer, simulations: StoredSimulations, training: Training, room: int, seed: int
) -> tuple[Simulations, Callable[[], History]]:
    """The same for simulations that do not fit into memory; of those held out, as many as do."""
    posterior = trainer.amortizer
    held_out = _held_out(simulations, training.validation_share, seed)
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
    return validation, lambda: trainer.train_on(batches, training, arrays)


def _count(source: Simulations | StoredSimulations) -> int:
    return len(source) if isinstance(source, StoredSimulations) else len(source.theta)


def _held_out(source: Simulations | StoredSimulations, share: float, seed: int) -> np.ndarray:
    """Whether each simulation is held out for validation (simulations,)."""
    count = _count(source)
    if count < FEWEST:
        raise TrainingError(f"training takes at least {FEWEST} simulations, got {count}")
    places = source.numbers if isinstance(source, StoredSimulations) else np.arange(count)
    held_out = held_out_of(places, share, [seed, 0])
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
