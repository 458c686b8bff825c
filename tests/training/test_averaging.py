"""What is validated and stays is a mean of the weights: nearer the truth than weights that still jitter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conjugate_gaussian import exact_log_prob, simulate

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork
from cinnflow.training import epochs
from cinnflow.training.trainer import Trainer

SIMULATIONS = simulate(1024, np.random.default_rng(0))
FRESH = simulate(4000, np.random.default_rng(1))


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """It compiles once for all trainings, and each starts from the weights that these networks have at first."""
    settings = {"num_dense": 1, "dense_args": {"units": 16}}
    posterior = AmortizedPosterior(InvertibleNetwork(2, 1, coupling_settings=settings), DeepSet(4, units=16))
    posterior.adapt(SIMULATIONS["prior_draws"], SIMULATIONS["sim_data"])
    return Trainer(posterior, default_lr=1e-2)


@pytest.fixture
def trained(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AmortizedPosterior]:
    first = trainer.amortizer.get_weights()

    def train(share: float, number: int, patience: int, seed: int = 0) -> AmortizedPosterior:
        monkeypatch.setattr(epochs, "_AVERAGED", share)
        trainer.amortizer.set_weights(first)
        trainer.seed, trainer.trainings = seed, 0
        trainer.train_offline(SIMULATIONS, number, 32, patience=patience)
        return trainer.amortizer

    return train


def kl(posterior: AmortizedPosterior) -> float:
    """Mean of log p(θ | x) − log q(θ | x), in nats, over fresh simulations."""
    theta, x = FRESH["prior_draws"], FRESH["sim_data"]
    return float(np.mean(exact_log_prob(theta, x) - posterior.log_prob(theta, x)))


def test_a_training_that_stops_while_its_learning_rate_is_high_is_near_the_truth(trained):
    plain, averaged = (np.mean([kl(trained(share, 200, 5, seed)) for seed in range(4)]) for share in (0.0, 0.05))
    assert averaged < 0.7 * plain


def test_few_epochs_are_not_averaged(trained):
    plain, averaged = (trained(share, 8, 0).get_weights() for share in (0.0, 0.05))
    assert all(np.array_equal(a, b) for a, b in zip(plain, averaged, strict=True))
