"""A posterior from simulations that are there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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
    held_out = max(1, round(training.validation_share * len(theta)))
    if len(theta) - held_out < 2:
        raise ValueError(f"training takes at least 3 simulations, got {len(theta)}")
    posterior = warm_start
    if posterior is None:
        inference_net, summary_net = build_networks(network, theta.shape[1], seed)
        posterior = AmortizedPosterior(inference_net, summary_net, names=names, lower=lower, upper=upper)
    elif posterior.names != list(names):
        raise ValueError(
            f"warm_start takes a posterior for the same parameters: it has {', '.join(posterior.names)}, and the "
            f"simulations have {', '.join(names)}"
        )
    trainer = Trainer(
        posterior, default_lr=training.learning_rate, history_path=history_path, on_epoch=on_epoch, seed=seed
    )
    trainer.train_offline(
        {"prior_draws": theta, "sim_data": data},
        epochs=training.epochs,
        batch_size=training.batch_size,
        validation_sims=held_out,
        patience=training.patience,
    )
    return posterior


def _check_finite(theta: np.ndarray, data: Mapping[str, np.ndarray]) -> None:
    for name, array in {"theta": theta, **data}.items():
        bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if bad.any():
            raise ValueError(
                f"training takes finite simulations; {name} has {bad.sum()} of {len(array)} that are not, the first in "
                f"row {np.argmax(bad)}: leave out simulations that failed"
            )
