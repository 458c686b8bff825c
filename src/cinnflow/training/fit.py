"""A posterior from simulations that are there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cinnflow import config
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.configurator import Data, as_dict
from cinnflow.networks.from_config import build_networks
from cinnflow.training.history import Epoch
from cinnflow.training.trainer import Trainer


def fit(
    theta: np.ndarray,
    data: Data,
    *,
    names: Sequence[str],
    lower: np.ndarray,
    upper: np.ndarray,
    network: config.Network,
    training: config.Training,
    seed: int,
    own_summary: Callable[..., keras.Layer] | None = None,
    warm_start: AmortizedPosterior | None = None,
    history_path: str | Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> AmortizedPosterior:
    """Trains a posterior on simulations.

    Args:
        theta: parameters (simulations, parameters), on their own scale.
        data: an array or a dict of arrays, first axis the simulations.
        names: the parameters' names.
        lower: lower bounds (parameters,), −inf where there is none.
        upper: upper bounds (parameters,), inf where there is none.
        network: which networks.
        training: how they are trained.
        seed: seed of initial weights, validation split, order of batches and dropout; the same seed gives the same
            weights on one machine.
        own_summary: what gives the summary network, where `network` names a class of the model file.
        warm_start: a posterior for the same parameters and data from which training goes on.
        history_path: a CSV file that is rewritten after each epoch.
        on_epoch: called after each epoch.

    Returns:
        The posterior with the weights of the lowest validation loss.

    Raises:
        ValueError: for simulations that are not finite, or too few of them.
        TrainingError: where the loss was not finite before one epoch was complete.
    """
    theta, data = np.asarray(theta, np.float64), as_dict(data)
    _check_finite(theta, data)
    held_out = _held_out(len(theta), training.validation_share, seed)
    posterior = warm_start
    if posterior is None:
        inference_net, summary_net = build_networks(network, theta.shape[1], seed, own_summary)
        posterior = AmortizedPosterior(
            inference_net,
            summary_net,
            names=names,
            lower=lower,
            upper=upper,
            summary_loss_fun=network.summary_loss and network.summary_loss.upper(),
        )
    elif posterior.names != list(names):
        raise ValueError(
            f"warm_start takes a posterior for the same parameters: it has {', '.join(posterior.names)}, and the "
            f"simulations have {', '.join(names)}"
        )
    trainer = Trainer(
        posterior, default_lr=training.learning_rate, history_path=history_path, on_epoch=on_epoch, seed=seed
    )
    trainer.train_offline(
        _rows(theta, data, ~held_out),
        epochs=training.epochs,
        batch_size=training.batch_size,
        validation_sims=_rows(theta, data, held_out),
        patience=training.patience,
    )
    return posterior


def _held_out(simulations: int, share: float, seed: int) -> np.ndarray:
    """Whether each simulation is held out for validation (simulations,).

    That does not depend on how many follow it: what one round has trained on, no later round takes for validation.
    """
    if simulations < 3:
        raise ValueError(f"training takes at least 3 simulations, got {simulations}")
    held_out = np.random.default_rng([seed, 0]).random(simulations) < share
    return held_out if held_out.any() and not held_out.all() else np.arange(simulations) == 0


def _rows(theta: np.ndarray, data: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, Any]:
    return {"prior_draws": theta[rows], "sim_data": {name: array[rows] for name, array in data.items()}}


def _check_finite(theta: np.ndarray, data: Mapping[str, np.ndarray]) -> None:
    for name, array in {"theta": theta, **data}.items():
        bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            raise ValueError(
                f"training takes finite simulations; {name} has {bad.sum()} of {len(array)} that are not, the first in "
                f"row {np.argmax(bad)}: leave out simulations that failed"
            )
