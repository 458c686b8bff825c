"""What is validated and stays is a mean of the weights: nearer the truth than weights that still jitter."""

from __future__ import annotations

import numpy as np
import pytest
from conjugate_gaussian import exact_log_prob, simulate

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork
from cinnflow.training import epochs
from cinnflow.training.trainer import Trainer

SIMULATIONS = simulate(1024, np.random.default_rng(0))
FRESH = simulate(4000, np.random.default_rng(1))


def trained(share: float, number: int, patience: int, monkeypatch: pytest.MonkeyPatch, seed=0) -> AmortizedPosterior:
    monkeypatch.setattr(epochs, "_AVERAGED", share)
    net = InvertibleNetwork(2, 2, coupling_settings={"dense_args": {"units": 16}}, seed=seed)
    posterior = AmortizedPosterior(net, DeepSet(4, units=16, seed=seed))
    Trainer(posterior, default_lr=1e-2, seed=seed).train_offline(SIMULATIONS, number, 32, patience=patience)
    return posterior


def kl(posterior: AmortizedPosterior) -> float:
    """Mean of log p(θ | x) − log q(θ | x), in nats, over fresh simulations."""
    theta, x = FRESH["prior_draws"], FRESH["sim_data"]
    return float(np.mean(exact_log_prob(theta, x) - posterior.log_prob(theta, x)))


def test_a_training_that_stops_while_its_learning_rate_is_high_is_near_the_truth(monkeypatch):
    plain, averaged = (
        np.mean([kl(trained(share, 200, 5, monkeypatch, seed)) for seed in range(2)]) for share in (0.0, 0.05)
    )
    assert averaged < 0.7 * plain


def test_few_epochs_are_not_averaged(monkeypatch):
    plain, averaged = (trained(share, 8, 0, monkeypatch) for share in (0.0, 0.05))
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), averaged.get_weights(), strict=True))
