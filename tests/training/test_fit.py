"""A fit from arrays: calibrated to the truth, the same for the same seed, honest about what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest
from conjugate_gaussian import exact_log_prob, simulate

from cinnflow import config
from cinnflow.config_network import Network
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.store.reader import Simulations
from cinnflow.training import stored_data
from cinnflow.training.errors import TrainingError
from cinnflow.training.fit import fit

NETWORK = Network(
    summary={"type": "deep_set", "units": 16, "summary_dim": 4},
    inference={"num_coupling_layers": 1, "num_dense": 1, "units": 16},
)
SIMULATIONS = simulate(1024, np.random.default_rng(0))


def stored(simulations, names=("a", "b")) -> Simulations:
    unbounded = np.full(2, np.inf)
    return Simulations(list(names), -unbounded, unbounded, simulations["prior_draws"], {"x": simulations["sim_data"]})


def fitted(simulations=SIMULATIONS, seed=1, **training) -> AmortizedPosterior:
    settings = config.Training(**({"epochs": 30, "batch_size": 32, "learning_rate": 5e-3} | training))
    return fit(stored(simulations), network=NETWORK, training=settings, seed=seed).posterior


@pytest.fixture(scope="module")
def of_another_seed() -> AmortizedPosterior:
    return fitted(seed=2, epochs=15)


def test_two_runs_give_identical_weights_near_the_truth_and_another_seed_others(of_another_seed):
    first, second, other = fitted(), fitted(), of_another_seed
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first.get_weights(), other.get_weights(), strict=True))
    fresh = simulate(4000, np.random.default_rng(5))
    exact = exact_log_prob(fresh["prior_draws"], fresh["sim_data"])
    assert np.mean(exact - first.log_prob(fresh["prior_draws"], fresh["sim_data"])) < 0.12


def test_what_is_held_out_is_not_in_step_with_parameters_of_the_same_seed():
    uniform = np.random.default_rng(3).random((500, 2))
    held_out = stored_data._held_out(stored({"prior_draws": uniform, "sim_data": uniform}), 0.1, 3)
    first = uniform.reshape(-1)[:500]
    assert np.corrcoef(first, held_out)[0, 1] > -0.2
    assert first[held_out].max() > 0.5


def test_a_warm_start_goes_on_from_the_weights(of_another_seed, tmp_path):
    of_another_seed.save(tmp_path / "network.keras")
    losses = []
    for start in (None, AmortizedPosterior.load(tmp_path / "network.keras")):
        training = config.Training(epochs=1, batch_size=32, learning_rate=1e-5)
        fit(
            stored(SIMULATIONS),
            network=NETWORK,
            training=training,
            seed=3,
            warm_start=start,
            on_epoch=lambda epoch: losses.append(epoch.loss),
        )
    assert losses[1] < losses[0] - 1.0


def test_the_gain_is_how_much_likelier_parameters_held_out_have_become():
    few = {name: array[:64] for name, array in SIMULATIONS.items()}
    before = fitted(few, epochs=4)
    found = fit(
        stored(SIMULATIONS),
        network=NETWORK,
        training=config.Training(epochs=30, batch_size=32, learning_rate=5e-3, validation_share=0.5),
        seed=1,
        before=before,
    )
    fresh = simulate(4000, np.random.default_rng(5))
    later, earlier = (p.log_prob(fresh["prior_draws"], fresh["sim_data"]) for p in (found.posterior, before))
    expected = np.mean(later - earlier) / 2
    assert expected > 0.3
    assert found.gain is not None
    assert abs(found.gain.nats_per_parameter - expected) < 4 * found.gain.standard_error
    assert found.gain.standard_error < 0.1 * expected


def test_a_simulation_that_is_not_finite_is_refused_by_its_row():
    data = SIMULATIONS["sim_data"].copy()
    data[17, 3, 1] = np.nan
    with pytest.raises(TrainingError, match="x has 1 of 1024 that are not, the first in row 17"):
        fitted({**SIMULATIONS, "sim_data": data})


def test_a_validation_share_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(TrainingError, match=r"validation_share 0\.999999 holds back all 1024 simulations"):
        fitted(validation_share=0.999999)


def test_a_warm_start_for_other_parameters_is_refused(of_another_seed):
    with pytest.raises(TrainingError, match=r"a, b.*alpha, beta"):
        fit(
            stored(SIMULATIONS, names=["alpha", "beta"]),
            network=NETWORK,
            training=config.Training(),
            seed=1,
            warm_start=of_another_seed,
        )


def test_training_that_breaks_down_at_once_says_so():
    with pytest.raises(TrainingError, match=r"broke down.*epoch 1; take a lower learning rate"):
        fitted(learning_rate=1e30)


@pytest.mark.parametrize(
    ("factor", "rise", "says"),
    [(np.nan, np.nan, "the loss is nan"), (1.1, 30.0, "the loss diverges: it rose to")],
)
def test_training_that_breaks_down_later_keeps_the_best_weights(factor, rise, says, caplog, monkeypatch):
    from cinnflow.training.compiled_updates import CompiledUpdates

    updates, calls = CompiledUpdates.__call__, []

    def poisoned(self, pool, rows, rates):
        if len(rows) == 1:  # nothing is learned from it
            return updates(self, pool, rows, rates)
        calls.append(rows)
        losses = updates(self, pool, rows, rates)
        if len(calls) > 4:
            for weight in self.posterior.trainable_variables:
                weight.assign(weight * factor)
            losses = losses + rise
        return losses

    monkeypatch.setattr(CompiledUpdates, "__call__", poisoned)
    settings = config.Training(epochs=30, batch_size=32, learning_rate=5e-3)
    found = fit(stored(SIMULATIONS), network=NETWORK, training=settings, seed=1)
    assert len(found.history.epochs) == 4
    assert found.ended.startswith(f"it broke down: {says}")
    assert "the weights of epoch" in caplog.text
    weights = found.posterior.get_weights()
    assert all(np.all(np.isfinite(weight)) for weight in weights)
    assert max(np.max(np.abs(weight)) for weight in weights) < 100
