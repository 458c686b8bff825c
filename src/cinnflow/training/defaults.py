"""How a network is trained where the configuration leaves it open: by the regime and the number of simulations.

Fresh simulations cannot be learned by heart, so the regimes that simulate while they train take no regularization and
never stop early. A store is finite: it is passed over often where it is small, and then with dropout and a penalty.
"""

from __future__ import annotations

from typing import Any

from cinnflow.config import Training
from cinnflow.config_network import Network

UPDATES = 16_000
"""Updates that a fit to stored simulations takes at least, within the limits on its passes over them."""

FEWEST_PASSES, MOST_PASSES = 20, 100
MOST_VALIDATION = 10_000
"""Simulations that are held back at most: more do not tell better which weights are best."""

PLENTY = 100_000
"""Simulations from which on a network of the usual size does not learn them by heart."""


def complete_training(training: Training, simulations: int) -> Training:
    """The settings with a value for each that the regime uses.

    Args:
        training: the configuration.
        simulations: how many there are to learn from; without meaning for regimes that simulate.
    """
    if training.simulates:
        return _filled(
            training,
            epochs=10,
            iterations_per_epoch=1000,
            batch_size=32,
            learning_rate=2e-3,
            validation_sims=1024,
            patience=0,
            **({"buffer_capacity": 1000} if training.regime == "replay" else {}),
        )
    batch_size = training.batch_size or _batch_size(simulations)
    passes = round(UPDATES * batch_size / max(1, simulations))
    return _filled(
        training,
        epochs=min(max(passes, FEWEST_PASSES), MOST_PASSES),
        batch_size=batch_size,
        learning_rate=1e-3,
        # It never grows with the number: what one round has trained on, no later round holds back.
        validation_share=min(0.1, MOST_VALIDATION / max(1, simulations)),
        patience=20,
    )


def complete_network(network: Network, training: Training, simulations: int) -> Network:
    """The network with a value for dropout and penalty, by the same arguments as `complete_training`."""
    finite = not training.simulates and simulations < PLENTY
    inference = _filled(
        network.inference, dropout_prob=0.05 if finite else 0.0, kernel_regularizer=1e-5 if finite else 0.0
    )
    return network.model_copy(update={"inference": inference})


def _batch_size(simulations: int) -> int:
    for limit, size in ((2_000, 32), (20_000, 64), (PLENTY, 128)):
        if simulations < limit:
            return size
    return 256


def _filled(section: Any, **values: Any) -> Any:
    """A part of the configuration with these values where it has none."""
    return section.model_copy(update={name: value for name, value in values.items() if getattr(section, name) is None})
