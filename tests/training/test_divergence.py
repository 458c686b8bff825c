"""Whatever a learning rate that is too high does, the weights that stay are no worse than those at the start."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from conjugate_gaussian import simulate

from cinnflow.diagnostics import losses, verdicts
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork
from cinnflow.training.arrangement import Arrangement
from cinnflow.training.compiled_updates import CompiledUpdates
from cinnflow.training.epochs import Epochs
from cinnflow.training.errors import TrainingError
from cinnflow.training.trainer import Trainer

SIMULATIONS = simulate(400, np.random.default_rng(0))
VALIDATION = simulate(100, np.random.default_rng(1))


@pytest.fixture(scope="module")
def trained():
    """A trainer that compiles one program for each batch size, and the weights after a training."""
    settings = {"dense_args": {"units": 16}}
    posterior = AmortizedPosterior(InvertibleNetwork(2, 2, coupling_settings=settings), DeepSet(4, units=16))
    trainer = Trainer(posterior)
    trainer.train_offline(SIMULATIONS, 40, 32, validation_sims=0)
    return trainer, posterior.get_weights()


@pytest.mark.parametrize("validation", [0, VALIDATION])
@pytest.mark.parametrize(("batch_size", "learning_rate"), [(400, 0.03), (100, 0.1), (32, 0.3)])
@pytest.mark.parametrize("epochs", [1, 4])
def test_diverged_weights_never_stay(trained, validation, batch_size, learning_rate, epochs):
    trainer, weights = trained
    posterior = trainer.amortizer
    posterior.set_weights(weights)
    before = loss(posterior)
    trainer.default_lr, trainer.trainings = learning_rate, 0
    try:
        trainer.train_offline(SIMULATIONS, epochs, batch_size, validation_sims=validation)
    except TrainingError as error:
        assert "take a lower learning rate" in str(error)
        assert loss(posterior) == before
    else:
        assert loss(posterior) < before + 2 + 2


def test_the_verdict_on_losses_knows_the_words_of_a_training_that_broke_down():
    training = Epochs.__new__(Epochs)
    training.state = SimpleNamespace(best_epoch=3)
    training._give_up("the loss is nan, in epoch 4")
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": 1.0, "validation_loss": 1.0})
    judged = losses.verdict(losses.compute({"fit": history}, {"fit": training.ended}))
    assert judged["verdict"].item() == verdicts.FAIL


def loss(posterior):
    """Mean of −log q(θ | x) over the simulations, in nats."""
    return -float(np.mean(posterior.log_prob(SIMULATIONS["prior_draws"], SIMULATIONS["sim_data"])))


def test_what_batches_lose_is_told_without_learning_from_them(trained):
    trainer, weights = trained
    posterior = trainer.amortizer
    posterior.set_weights(weights)
    prepared = posterior.prepare(Arrangement(posterior, None).configure(SIMULATIONS))
    updates = CompiledUpdates(posterior, keras.optimizers.Adam(), 1.0)
    rows = np.arange(96).reshape(3, 32)
    first = updates(prepared, rows[:1], np.array([0.1]))
    state = [variable.numpy() for variable in (updates.weights, *updates.optimizer.variables)]
    found = updates.losses(prepared, rows)
    for variable, value in zip((updates.weights, *updates.optimizer.variables), state, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    updates.give_weights()
    expected = [
        posterior.compute_loss({k: v[start : start + 32] for k, v in prepared.items()}) for start in (0, 32, 64)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[0] != first[0]
