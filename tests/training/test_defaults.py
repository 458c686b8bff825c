"""What the configuration leaves open is decided by the regime and the number of simulations."""

from __future__ import annotations

import pytest

from cinnflow import config
from cinnflow.config_network import Network
from cinnflow.training.defaults import complete_network, complete_training

REGIMES = ("online", "replay", "rounds", "offline")
COUNTS = (100, 1_500, 4_000, 30_000, 200_000, 5_000_000)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("count", COUNTS)
def test_nothing_that_has_an_effect_stays_open(regime, count):
    training = complete_training(config.Training(regime=regime), count)
    assert config.Training.model_validate(training.model_dump()) == training
    network = complete_network(Network(), training, count)
    assert network.inference.dropout_prob is not None
    assert network.inference.kernel_regularizer is not None
    left = {name for name, value in training.model_dump().items() if value is None}
    simulating = {"iterations_per_epoch", "validation_sims"} | ({"buffer_capacity"} if regime == "replay" else set())
    stored = {"validation_share"}
    assert left == {"iterations_per_epoch", "validation_sims", "buffer_capacity", "validation_share"} - (
        simulating if training.simulates else stored
    )


def test_few_simulations_are_passed_over_often_and_with_regularization():
    few, many = (complete_training(config.Training(), count) for count in (1_000, 500_000))
    assert few.epochs > many.epochs
    assert few.batch_size < many.batch_size
    assert few.validation_share * 1_000 == 100
    assert many.validation_share * 500_000 == 10_000
    networks = [complete_network(Network(), few, count).inference for count in (1_000, 500_000)]
    assert networks[0].dropout_prob > networks[1].dropout_prob == 0
    assert networks[0].kernel_regularizer > networks[1].kernel_regularizer == 0
    fresh = complete_network(Network(), config.Training(regime="online"), 0).inference
    assert fresh.dropout_prob == fresh.kernel_regularizer == 0


def test_what_is_held_back_is_never_trained_on_later():
    shares = [complete_training(config.Training(), count).validation_share for count in COUNTS]
    assert shares == sorted(shares, reverse=True)


def test_what_is_set_stays():
    training = config.Training(regime="offline", epochs=3, batch_size=7, patience=0, learning_rate=1.0)
    completed = complete_training(training, 1_000)
    assert (completed.epochs, completed.batch_size, completed.patience, completed.learning_rate) == (3, 7, 0, 1.0)
    network = Network(inference={"dropout_prob": 0.0, "kernel_regularizer": 0.5})
    assert complete_network(network, training, 1_000) == network
