"""A posterior as a configuration asks for it: from simulations that are there, or from a model that makes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from cinnflow.config import Training
from cinnflow.config_network import Network
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.saving import check_comes_back
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.store.reader import Simulations
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.defaults import complete_network, complete_training
from cinnflow.training.errors import TrainingError
from cinnflow.training.gain import FitBefore, Gain
from cinnflow.training.history import Epoch, History
from cinnflow.training.stored_data import stored_data
from cinnflow.training.trainer import Trainer
from cinnflow.training.untrained import Parameters, untrained

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
    count = 0 if model is not None else len(source)
    training = complete_training(training, count)
    posterior = _start(about, complete_network(network, training, count), training, seed, own_summary, warm_start)
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
        history = _train_simulating(trainer, training)
        return Fit(posterior, history, trainer.ended, trainer.share_left_out, streamed=False, gain=None)
    data = stored_data(trainer, source, training, seed, memory)
    earlier = None if before is None else FitBefore(before, data.validation, inside, seed)
    history = data.train()
    ended, gain = (trainer.ended, None) if earlier is None else _compared(trainer, earlier)
    return Fit(posterior, history, ended, 0.0, data.streamed, gain)


def _start(
    about: Parameters,
    network: Network,
    training: Training,
    seed: int,
    own_summary: Callable[..., keras.Layer] | None,
    warm_start: AmortizedPosterior | None,
) -> AmortizedPosterior:
    """The posterior that training starts from; its settings go into the log."""
    settings = training.model_dump(exclude_none=True, exclude={"ensemble"})
    if warm_start is None:
        posterior = untrained(network, about, seed, own_summary)
        settings |= network.inference.model_dump(include={"dropout_prob", "kernel_regularizer"})
    elif warm_start.names == list(about.names):
        posterior = warm_start
    else:
        raise TrainingError(
            f"a warm start takes a posterior for the same parameters: it has {', '.join(warm_start.names)}, and the "
            f"simulations have {', '.join(about.names)}"
        )
    log.info("settings: %s", ", ".join(f"{name} {value}" for name, value in settings.items()))
    return posterior


def _train_simulating(trainer: Trainer, training: Training) -> History:
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


def _compared(trainer: Trainer, earlier: FitBefore) -> tuple[str, Gain]:
    """Why a training has ended, and what it has gained; a warm start that has become worse gets its weights back."""
    gain = earlier.gain_of(trainer.amortizer)
    log.info("held-out log density: %+.4f nats per parameter over the round before", gain.nats_per_parameter)
    if trainer.amortizer is earlier.posterior and gain.nats_per_parameter < 0:
        earlier.posterior.set_weights(earlier.weights)
        log.warning("no epoch was better than the fit before, whose weights are kept")
        return f"{trainer.ended}; none was better than the fit before, whose weights are kept", Gain(0.0, 0.0)
    return trainer.ended, gain
