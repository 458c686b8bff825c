"""The four regimes come near the known posterior, and every argument has its effect."""

from __future__ import annotations

import csv
import threading
import time

import keras
import numpy as np
import pytest
from conjugate_gaussian import exact_log_prob, simulate

import cinnflow as cf
from cinnflow import config
from cinnflow.inference import parts
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.ensemble import Ensemble
from cinnflow.networks import DeepSet, InvertibleNetwork
from cinnflow.training import trainer as trainer_module
from cinnflow.training.batches import InMemoryBatches
from cinnflow.training.defaults import complete_training
from cinnflow.training.epochs import Epochs
from cinnflow.training.errors import TrainingError
from cinnflow.training.trainer import Trainer


def small(seed=0, summary=True, **kwargs):
    # As few layers as the known posterior needs: nearly all of a short training is the compilation of its program.
    net = InvertibleNetwork(2, 1, coupling_settings={"num_dense": 1, "dense_args": {"units": 16}}, seed=seed, **kwargs)
    return AmortizedPosterior(net, DeepSet(4, num_dense=1, units=16, seed=seed) if summary else None)


def kl(posterior, n_obs=10):
    """Mean of log p(θ | x) − log q(θ | x), in nats, over fresh simulations."""
    fresh = simulate(4000, np.random.default_rng(99), n_obs=n_obs)
    theta, x = fresh["prior_draws"], fresh["sim_data"]
    return float(np.mean(exact_log_prob(theta, x) - posterior.log_prob(theta, x)))


def test_online_training_comes_near_the_known_posterior_and_is_the_same_for_the_same_seed():
    weights = []
    for _ in range(2):
        posterior = small()
        history = Trainer(posterior, simulate, default_lr=5e-3, seed=3).train_online(3, 120, 32)
        weights.append(posterior.get_weights())
    assert kl(posterior) < 0.06
    assert [epoch.epoch for epoch in history.epochs] == [1, 2, 3]
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert history.epochs[-1].learning_rate < 1e-6
    assert all(np.array_equal(first, second) for first, second in zip(*weights, strict=True))


def test_a_simulator_that_fails_within_an_epoch_leaves_what_was_trained_so_far():
    made = 0

    def failing(count, rng):
        nonlocal made
        made += 1
        if made > 130:
            raise ValueError("no more")
        return simulate(count, rng)

    posterior = small()
    simulations = simulate(100, np.random.default_rng(0))
    posterior.adapt(simulations["prior_draws"], simulations["sim_data"])
    start = posterior.get_weights()
    with pytest.raises(TrainingError, match="no more"):
        Trainer(posterior, failing).train_online(1, 500, 8)
    assert any(np.any(one != other) for one, other in zip(start, posterior.get_weights(), strict=True))


def test_the_first_block_of_an_epoch_is_made_while_the_one_before_ends():
    made = {1: threading.Event(), 2: threading.Event()}

    class Watched(InMemoryBatches):
        def epoch(self, number):
            for block in super().epoch(number):
                made[number].set()
                yield block

    posterior = small()
    simulations = simulate(64, np.random.default_rng(0))
    posterior.adapt(simulations["prior_draws"], simulations["sim_data"])
    pool = {"parameters": simulations["prior_draws"], **posterior.configure(simulations["sim_data"])}
    trainer = Trainer(posterior, on_epoch=lambda epoch: epoch.epoch == 2 or waited.append(made[2].wait(10)))
    waited = []
    history = trainer.train_on(
        Watched(posterior.prepare(pool), 16, seed=0), complete_training(config.Training(epochs=2), 64), None
    )
    assert waited == [True]
    assert len(history.epochs) == 2


def test_a_second_training_sees_other_simulations():
    seen = []

    def watched(count, rng):
        simulations = simulate(count, rng)
        seen.append(simulations["prior_draws"][0, 0])
        return simulations

    trainer = Trainer(small(), watched)
    trainer.train_online(1, 2, 8, validation_sims=16)
    trainer.train_online(1, 2, 8, validation_sims=16)
    assert len(set(seen)) == len(seen)


def test_trainings_of_one_trainer_compile_once_and_end_as_with_trainers_of_their_own():
    one, other = small(), small()
    same = Trainer(one, simulate)
    for trainings in range(3):
        same.train_online(1, 60, 8)
        own = Trainer(other, simulate)
        own.trainings = trainings  # its seeds are those of this training
        own.train_online(1, 60, 8)
    assert same._updates._run.experimental_get_tracing_count() == 1
    for mine, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_rounds_compile_once():
    trainer = Trainer(small(), simulate)
    trainer.train_rounds(3, 100, 1, 16)
    assert trainer._updates._run.experimental_get_tracing_count() == 1


def test_what_is_frozen_after_a_training_stays_as_it_is():
    posterior = small()
    trainer = Trainer(posterior, simulate)
    trainer.train_online(1, 5, 8)
    posterior.summary_net.trainable = False
    summary, inference = posterior.summary_net.get_weights(), posterior.inference_net.get_weights()
    trainer.train_online(1, 5, 8)
    for before, after in zip(summary, posterior.summary_net.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert any(np.any(a != b) for a, b in zip(inference, posterior.inference_net.get_weights(), strict=True))


def test_replay_draws_from_a_buffer_of_its_capacity():
    batches = []

    def watched(count, rng):
        batches.append(threading.current_thread() is not threading.main_thread())
        return simulate(count, rng)

    posterior = small()
    trainer = Trainer(posterior, watched, default_lr=5e-3, seed=1)
    trainer.train_experience_replay(2, 150, 32, buffer_capacity=100)
    assert kl(posterior) < 0.1
    assert len(batches) == 1024 // 32 + 300  # the pilot's, then one fresh batch an update
    assert sum(batches) == 300  # made beside the training


@pytest.mark.parametrize("workers", [0, 2])
def test_a_round_is_simulated_while_the_one_before_trains(workers, tmp_path):
    def noted(count, rng):
        (tmp_path / str(time.monotonic_ns())).touch()
        return simulate(count, rng)

    def wait_for_all(_):
        end = time.monotonic() + 10
        while len(list(tmp_path.iterdir())) < 8 and time.monotonic() < end:
            time.sleep(0.01)
        found.append(len(list(tmp_path.iterdir())))

    found = []
    Trainer(small(), noted, on_epoch=wait_for_all, simulation_workers=workers).train_rounds(2, 128, 1, 32)
    assert found == [8, 8]


def test_the_next_round_is_not_simulated_before_the_validation_simulations():
    made_by = []

    def watched(count, rng):
        made_by.append(threading.current_thread() is threading.main_thread())
        time.sleep(0.01)
        return simulate(count, rng)

    Trainer(small(), watched).train_rounds(2, 320, 1, 32, validation_sims=64)
    assert made_by == [True] * 12 + [False] * 10


def test_in_processes_too_the_next_round_waits_for_the_validation_simulations():
    """A limit is for the batch that is waited for: the validation's would run out behind a whole round."""

    def slow(count, rng):
        time.sleep(0.05)
        return simulate(count, rng)

    trainer = Trainer(small(), slow, simulation_workers=2, simulation_timeout=0.05)
    assert len(trainer.train_rounds(2, 1600, 1, 32, validation_sims=32)) == 2


def test_rounds_append_fresh_simulations_and_go_on_from_the_weights(monkeypatch):
    counts, trained_on = [], []

    class Watched(trainer_module.InMemoryBatches):
        def __init__(self, *args):
            super().__init__(*args)
            trained_on.append(self.count)

    monkeypatch.setattr(trainer_module, "InMemoryBatches", Watched)

    def watched(count, rng):
        counts.append(count)
        return simulate(count, rng)

    posterior = small()
    first, second = Trainer(posterior, watched, default_lr=5e-3).train_rounds(2, 512, 20, 32)
    assert sum(counts) == 1024  # and none for a pilot
    assert 400 < trained_on[0] < 512
    assert trained_on[1] == 2 * trained_on[0]
    assert len(first.epochs) == len(second.epochs) == 20
    assert second.epochs[0].loss < first.epochs[0].loss
    assert kl(posterior) < 0.15


def test_what_layers_keep_of_their_batches_stays_with_the_best_weights():
    class Normalized(keras.Layer):
        def __init__(self):
            super().__init__()
            seeded = keras.initializers.GlorotUniform(seed=1)
            self.dense = keras.layers.Dense(8, activation="relu", kernel_initializer=seeded)
            self.normalization = keras.layers.BatchNormalization(momentum=0.5)

        def call(self, x, training=False):
            return keras.ops.mean(self.normalization(self.dense(x), training=training), axis=1)

    posterior = AmortizedPosterior(InvertibleNetwork(2, 2), Normalized())
    validation = simulate(200, np.random.default_rng(1))
    history = Trainer(posterior, default_lr=2e-2).train_offline(
        simulate(100, np.random.default_rng(0)), 30, 20, validation_sims=validation, patience=5
    )
    losses = [epoch.validation_loss for epoch in history.epochs]
    assert losses[-1] > min(losses)
    reached = -np.mean(posterior.log_prob(validation["prior_draws"], validation["sim_data"]))
    assert reached == pytest.approx(min(losses), abs=1e-4)


def test_offline_training_keeps_the_weights_of_the_lowest_validation_loss_and_stops():
    simulations = simulate(160, np.random.default_rng(0))
    posterior = small()
    validation = simulate(500, np.random.default_rng(1))
    history = Trainer(posterior, default_lr=1e-2).train_offline(
        simulations, 200, 16, validation_sims=validation, patience=10
    )
    losses = [epoch.validation_loss for epoch in history.epochs]
    assert len(losses) == 1 + int(np.argmin(losses)) + 10 < 200
    reached = -np.mean(posterior.log_prob(validation["prior_draws"], validation["sim_data"]))
    assert reached == pytest.approx(min(losses), abs=1e-4)


def test_stored_simulations_are_validated_and_training_stops_early_by_default():
    posterior, simulations = small(), simulate(100, np.random.default_rng(0))
    history = Trainer(posterior).train_offline(simulations)
    losses = history.table()["validation_loss"]
    assert len(losses) == min(100, 1 + int(np.argmin(losses)) + 20)
    assert history.epochs[0].learning_rate == pytest.approx(1e-3, rel=0.01)
    history = Trainer(small(), default_lr=5e-3).train_offline(simulations, 3, validation_sims=0)
    assert np.isnan(history.table()["validation_loss"]).all()
    assert history.epochs[0].learning_rate > 2e-3


def test_what_a_round_holds_back_no_round_trains_on(monkeypatch):
    seen = []
    train_on = Trainer.train_on

    def watched(self, batches, settings, validation, complete=None):
        pool = batches.pool["parameters"].numpy()[: batches.count]
        seen.append((pool, self.amortizer.prepare(validation)["parameters"].numpy()))
        return train_on(self, batches, settings, validation, complete)

    monkeypatch.setattr(Trainer, "train_on", watched)
    Trainer(small(), simulate).train_rounds(2, 60, 1)
    assert [(len(pool), len(held_back)) for pool, held_back in seen] == [(54, 6), (108, 12)]
    pool, held_back = seen[-1]
    np.testing.assert_array_equal(held_back[:6], seen[0][1])
    assert not np.isin(held_back, pool).any()


def test_held_back_simulations_are_not_trained_on():
    simulations = simulate(100, np.random.default_rng(0))
    posterior = small()
    trainer = Trainer(posterior, seed=5)
    trainer.train_offline(simulations, 1, 16, validation_sims=40)
    drawn = np.random.default_rng(Trainer(posterior, seed=5)._seed("validation")).random(100)
    rest = np.flatnonzero(drawn > np.sort(drawn)[39])
    np.testing.assert_allclose(posterior.parameter_scale.mean, simulations["prior_draws"][rest].mean(axis=0))


def test_a_second_training_validates_on_what_the_first_did(monkeypatch):
    seen = []
    train_on = Trainer.train_on

    def watched(self, batches, settings, validation, complete=None):
        seen.append(validation["parameters"])
        return train_on(self, batches, settings, validation, complete)

    monkeypatch.setattr(Trainer, "train_on", watched)
    trainer, simulations = Trainer(small(), seed=5), simulate(100, np.random.default_rng(0))
    for _ in range(2):
        trainer.train_offline(simulations, 1, 16)
    np.testing.assert_array_equal(*seen)


def test_what_was_trained_on_is_not_held_out_once_there_is_more(monkeypatch):
    trained, validated = [], []
    train_in_memory = Trainer._train_in_memory

    def watched(self, arrays, settings, validation, room=0):
        trained.append(arrays["parameters"])
        validated.append(validation["parameters"])
        return train_in_memory(self, arrays, settings, validation, room)

    monkeypatch.setattr(Trainer, "_train_in_memory", watched)
    trainer, simulations = Trainer(small(), seed=5), simulate(300, np.random.default_rng(0))
    for count in (100, 200, 300):
        trainer.train_offline({name: array[:count] for name, array in simulations.items()}, 1, 16)
    assert not np.isin(validated[-1], np.concatenate(trained)).any()
    assert [len(arrays) for arrays in validated] == sorted({len(arrays) for arrays in validated})


def test_simulations_that_are_not_finite_are_left_out(caplog):
    def failing(count, rng):
        simulations = simulate(count, rng)
        simulations["sim_data"][::3, 0, 0] = np.nan
        simulations["prior_draws"][1::5, 1] = np.inf
        return simulations

    posterior = small()
    Trainer(posterior, failing, default_lr=5e-3).train_online(1, 100, 32)
    assert all(np.all(np.isfinite(weight)) for weight in posterior.get_weights())
    assert "not finite" in caplog.text


def test_how_many_simulations_are_left_out_is_told():
    def failing(count, rng):
        simulated = simulate(count, rng)
        simulated["sim_data"][rng.random(count) < 0.3] = np.nan
        return simulated

    trainer = Trainer(small(), failing)
    trainer.train_online(1, 2, 16, validation_sims=500)
    assert 0.25 < trainer.share_left_out < 0.35


def test_data_sets_of_varying_size_are_trained_on_together():
    def varying(count, rng):
        return simulate(count, rng, n_obs=int(rng.integers(1, 21)))

    posterior = small()
    Trainer(posterior, varying, default_lr=5e-3).train_online(4, 150, 32)
    for n_obs in (2, 20):
        assert kl(posterior, n_obs) < 0.15


def test_data_sets_may_be_as_long_as_those_of_a_later_training():
    posterior = small()
    for longest in (5, 9):
        simulated = simulate(64, np.random.default_rng(0), n_obs=longest)
        data = {"x": simulated["sim_data"], "mask": np.ones((64, longest), bool)}
        Trainer(posterior).train_offline({**simulated, "sim_data": data}, epochs=1, batch_size=32)
        assert posterior.sample(data, 2, seed=0).shape == (64, 2, 2)
    with pytest.raises(ValueError, match="10 long, and those in training were at most 9"):
        posterior.sample(np.zeros((1, 10, 2)), 2)


def test_a_configurator_of_the_user_decides_what_the_networks_see():
    def averages(simulated):
        # In single precision, as configurators written for BayesFlow give them.
        theta, means = simulated["prior_draws"], simulated["sim_data"].mean(axis=1)
        return {"parameters": theta.astype(np.float32), "direct_conditions": means.astype(np.float32)}

    posterior = small(summary=False)
    Trainer(posterior, simulate, configurator=averages, default_lr=5e-3).train_online(2, 120, 32)
    fresh = simulate(2000, np.random.default_rng(9))
    log_prob = posterior.log_prob(fresh["prior_draws"], {"direct_conditions": fresh["sim_data"].mean(axis=1)})
    assert np.mean(exact_log_prob(fresh["prior_draws"], fresh["sim_data"]) - log_prob) < 0.05
    with pytest.raises(ValueError, match="it got data"):
        Trainer(posterior, simulate, configurator=lambda simulated: {"data": simulated["sim_data"]}).train_online(
            1, 1, 8
        )


def test_what_a_model_gives_may_be_asked_about_as_it_is_and_configured():
    posterior = small()
    trainer = Trainer(posterior, simulate)
    trainer.train_online(1, 2, 8)
    simulated = simulate(5, np.random.default_rng(3))
    draws = posterior.sample(simulated["sim_data"], 7, seed=1)
    np.testing.assert_array_equal(posterior.sample(simulated, 7, seed=1), draws)
    np.testing.assert_array_equal(posterior.sample(trainer.configurator(simulated), 7, seed=1), draws)
    untrained = Trainer(small(), simulate).configurator(simulated)
    np.testing.assert_array_equal(untrained["parameters"], simulated["prior_draws"])


def test_who_was_trained_on_configured_data_refuses_raw_ones(tmp_path):
    def logs(simulated):
        return {"parameters": simulated["prior_draws"], "direct_conditions": np.log(simulated["sim_data"][:, 0] ** 2)}

    simulations = simulate(64, np.random.default_rng(0))
    posterior = small(summary=False)
    Trainer(posterior, configurator=logs).train_offline(simulations, 1, 16)
    posterior.save(tmp_path / "network.keras")
    raw = simulations["sim_data"][:, 0]
    for trained in (posterior, AmortizedPosterior.load(tmp_path / "network.keras")):
        assert trained.sample({"direct_conditions": np.log(raw**2)}, 3).shape == (64, 3, 2)
        with pytest.raises(ValueError, match=r"trained on configured data.* give a dict of direct_conditions"):
            trained.sample(raw, 3)
        with pytest.raises(ValueError, match="trained on configured data"):
            Trainer(trained).train_offline(simulations)


def test_history_is_written_and_callbacks_are_called(tmp_path):
    seen = []
    trainer = Trainer(small(), simulate, history_path=tmp_path / "fit" / "history.csv", on_epoch=seen.append)
    history = trainer.train_online(2, 3, 8, validation_sims=32)
    with (tmp_path / "fit" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert [float(row["validation_loss"]) for row in rows] == history.table()["validation_loss"]
    assert seen == history.epochs


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"epochs": 0}, "epochs takes a whole number from 1 on, got 0"),
        ({"epochs": True}, "epochs takes a whole number from 1 on, got True"),
        ({"batch_size": 2.5}, "batch_size takes a whole number from 1 on, got 2.5"),
        ({"validation_sims": 1.5}, "validation_sims takes a whole number from 0 on, got 1.5"),
        ({"validation_sims": -3}, "validation_sims takes a whole number from 0 on, got -3"),
        ({"patience": -1, "validation_sims": 8}, "patience takes a whole number from 0 on, got -1"),
        (
            {"patience": 2, "validation_sims": 0},
            "patience=2 counts epochs by their validation loss: give validation_sims",
        ),
    ],
)
@pytest.mark.parametrize("regime", ["online", "experience_replay", "rounds", "offline"])
def test_an_argument_that_cannot_have_its_effect_is_refused(regime, arguments, says):
    trainer = Trainer(small(), simulate)
    given = {"rounds": (2, 32), "offline": (simulate(32, np.random.default_rng(0)),)}.get(regime, ())
    with pytest.raises(ValueError, match=says):
        getattr(trainer, f"train_{regime}")(*given, **arguments)


@pytest.mark.parametrize("default_lr", [0, -1e-3, float("nan"), float("inf"), "1e-3", True])
def test_a_learning_rate_that_is_none_is_refused(default_lr):
    with pytest.raises(ValueError, match="default_lr takes a number above 0"):
        Trainer(small(), default_lr=default_lr)


def test_a_time_limit_takes_processes_that_can_be_ended():
    with pytest.raises(ValueError, match="simulation_timeout takes a number above 0, got 0"):
        Trainer(small(), simulate, simulation_timeout=0)
    with pytest.raises(ValueError, match=r"simulation_timeout takes processes .* a thread has none"):
        Trainer(small(), simulate, simulation_timeout=3).train_online(1, 1, 8)


@pytest.mark.parametrize("name", ["generative_model", "configurator", "on_epoch", "on_start"])
def test_what_is_no_function_is_refused(name):
    with pytest.raises(TypeError, match=f"{name} takes a function, got 3"):
        Trainer(small(), **{name: 3})


def test_paths_that_are_none_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="history_path takes a file"):
        Trainer(small(), history_path=tmp_path)
    with pytest.raises(ValueError, match="checkpoint_path takes a folder"):
        Trainer(small(), checkpoint_path=tmp_path / "file")


@pytest.mark.parametrize("seed", [None, -1, 0.5])
def test_a_seed_that_gives_no_run_again_is_refused(seed):
    with pytest.raises(ValueError, match="seed takes a whole number from 0 on"):
        Trainer(small(), seed=seed)


def test_numbers_of_numpy_and_patience_without_end_are_taken():
    posterior, others = small(), small()
    rng = np.random.default_rng
    history = Trainer(posterior, seed=np.int64(3)).train_offline(
        simulate(64, rng(0)), np.int64(3), np.int32(16), validation_sims=np.int64(20), patience=0
    )
    Trainer(others, seed=3).train_offline(simulate(64, rng(0)), 3, 16, validation_sims=20)
    assert len(history.epochs) == 3
    assert all(np.array_equal(a, b) for a, b in zip(posterior.get_weights(), others.get_weights(), strict=True))


def test_what_a_model_gives_is_checked():
    whole = simulate(32, np.random.default_rng(0))
    theta, x = whole["prior_draws"], whole["sim_data"]
    ragged = np.empty(32, object)
    ragged[:] = [np.ones((n % 3, 2)) for n in range(32)]
    for simulations, says in [
        ((theta, x), "a model gives a dict of prior_draws and sim_data, this one gave tuple"),
        ({"prior_draws": theta}, "a model gives prior_draws and sim_data, this one gave prior_draws"),
        ({"sim_data": x}, "a model gives prior_draws and sim_data, this one gave sim_data"),
        ({"prior_draws": theta[:, :1], "sim_data": x}, r"parameters take the shape \(simulations, 2\), got \(32, 1\)"),
        ({"prior_draws": theta[:9], "sim_data": x}, "summary_conditions are of 32 simulations, and parameters of 9"),
        ({"prior_draws": theta, "sim_data": [np.ones((n % 3, 2)) for n in range(32)]}, "'x' differ in size .* 'mask'"),
        ({"prior_draws": theta, "sim_data": {"y": ragged}}, "'y' differ in size .* say in a boolean array 'mask'"),
    ]:
        with pytest.raises(ValueError, match=says):
            Trainer(small()).train_offline(simulations)
    for configured, says in [
        ({"parameters": theta}, "training takes parameters, and summary_conditions or direct_conditions"),
        ({"parameters": theta, "direct_conditions": x[:, 0, 0]}, r"direct_conditions take the shape .* got \(32,\)"),
        ({"parameters": theta, "summary_conditions": x[:, 0]}, r"summary_conditions take the shape .* got \(32, 2\)"),
        ({"parameters": theta, "summary_conditions": x + 1j}, "summary_conditions take numbers, got complex128"),
        ({"parameters": theta, "summary_conditions": x.astype(str)}, "summary_conditions take numbers, got <U"),
    ]:
        with pytest.raises(ValueError, match=says):
            Trainer(small(), configurator=lambda _, configured=configured: configured).train_offline(whole)
    with pytest.raises(ValueError, match=r"a configurator gives a dict of parameters, .* this one gave None"):
        Trainer(small(), configurator=lambda _: None).train_offline(whole)
    with pytest.raises(ValueError, match="32 of 32 simulations held back for validation leaves none to train on"):
        Trainer(small()).train_offline(whole, validation_sims=32)
    with pytest.raises(TrainingError, match="there are no simulations to train on"):
        Trainer(small()).train_offline({"prior_draws": theta[:0], "sim_data": x[:0]})
    whole["sim_data"] = np.full_like(x, np.nan)
    with pytest.raises(TrainingError, match="none of the 32 simulations is finite: mend the simulator"):
        Trainer(small()).train_offline(whole)


def test_what_a_mask_of_the_users_own_hides_may_be_nan(caplog):
    def configured(missing):
        simulations = simulate(64, np.random.default_rng(0))
        there = np.arange(10) < np.random.default_rng(1).integers(1, 10, size=(64, 1))
        x = np.where(there[..., None], simulations["sim_data"], missing)
        return {"parameters": simulations["prior_draws"], "summary_conditions": x, "summary_mask": there}

    histories, draws = [], []
    for missing in (0.0, np.nan):
        posterior, own = small(), configured(missing)
        history = Trainer(posterior, configurator=lambda _, own=own: own).train_offline({}, 2, 16)
        histories.append((history.table()["loss"], history.table()["validation_loss"]))
        draws.append(posterior.sample(own, 5, seed=1))
    assert "not finite" not in caplog.text
    assert histories[0] == histories[1]
    assert np.array_equal(*draws)


def test_a_batch_may_have_no_elements_where_their_number_varies():
    def model(count, rng):
        theta = rng.standard_normal((count, 2))
        return {"prior_draws": theta, "sim_data": theta[:, None] + rng.standard_normal((count, rng.integers(3), 2))}

    posterior = small()
    history = Trainer(posterior, model).train_online(1, 4, 8)
    assert np.isfinite(history.epochs[0].loss)
    assert np.isfinite(posterior.sample(np.zeros((1, 0, 2)), 10, seed=1)).all()


@pytest.mark.parametrize("adapted", [False, True])
def test_parameters_outside_the_bounds_are_refused_before_training(adapted):
    posterior = AmortizedPosterior(InvertibleNetwork(2, 2), names=["a", "b"], lower=-9.0, upper=[9.0, 0.5])
    simulations = simulate(64, np.random.default_rng(0))
    if adapted:
        posterior.adapt(np.minimum(simulations["prior_draws"], 0.4), simulations["sim_data"][:, 0])
    simulations["sim_data"] = simulations["sim_data"][:, 0]
    with pytest.raises(ValueError, match=r"parameter b is .* in a simulation, .* bounds are -9 and 0\.5"):
        Trainer(posterior).train_offline(simulations)
    with pytest.raises(ValueError, match="parameter b is"):
        AmortizedPosterior(InvertibleNetwork(2, 2), names=["a", "b"], upper=0.5).adapt(
            np.ones((4, 2)) * [0.1, 0.7], np.zeros((4, 1))
        )


def test_a_bound_may_be_rounded_to_single_precision():
    posterior = AmortizedPosterior(InvertibleNetwork(1, 1), names=["a"], lower=-0.1, upper=0.1)
    posterior.transform.check(np.array([[0.1], [-0.1]], np.float32), ["a"])
    with pytest.raises(ValueError, match="parameter a is"):
        posterior.transform.check(np.array([[0.1001]]), ["a"])


def test_simulations_that_share_a_context_may_differ_in_size_from_those_for_validation():
    def sized(n_obs, seed):
        return {**simulate(64, np.random.default_rng(seed), n_obs=n_obs), "sim_non_batchable_context": n_obs}

    posterior = small()
    Trainer(posterior).train_offline(sized(5, 0), 2, 16, validation_sims=sized(20, 1))
    assert posterior.sample(sized(9, 2)["sim_data"], 10).shape == (64, 10, 2)


def test_names_of_the_prior_in_another_order_are_refused():
    model = cf.GenerativeModel(cf.Prior(lambda rng: rng.normal(size=2), names=["a", "b"]), cf.Simulator(np.add))
    for names in (["a", "b"], ["alpha", "beta"], None):
        Trainer(AmortizedPosterior(InvertibleNetwork(2, 2), names=names), model)
    for names in (["b", "a"], ["b", "c"], ["c", "a"]):
        with pytest.raises(ValueError, match=r"the prior draws a, b: give the posterior names=prior\.names"):
            Trainer(AmortizedPosterior(InvertibleNetwork(2, 2), names=names), model)
    # A configurator may choose from the prior's parameters, or put them in another order.
    Trainer(AmortizedPosterior(InvertibleNetwork(2, 2), names=["b", "a"]), model, configurator=dict)


def test_bounds_that_the_prior_declares_alone_are_told(caplog):
    prior = cf.Prior(lambda rng: rng.uniform(size=2), names=["a", "b"], lower=[0, -np.inf], upper=1)
    model = cf.GenerativeModel(prior, cf.Simulator(np.add))
    Trainer(AmortizedPosterior(InvertibleNetwork(2, 2), lower=prior.lower, upper=prior.upper), model)
    assert caplog.text == ""
    Trainer(AmortizedPosterior(InvertibleNetwork(2, 2), names=["a", "b"], lower=prior.lower, upper=[1, np.inf]), model)
    assert "bounds of b that the posterior does not have" in caplog.text


def test_regimes_that_simulate_take_a_generative_model():
    with pytest.raises(ValueError, match="give the Trainer a generative_model"):
        Trainer(small()).train_online(1, 1, 8)
    program = cf.ExternalSimulator(["true", "{params}", "{seed}", "{out}"], out="x.csv")
    model = cf.GenerativeModel(cf.Prior(lambda rng: rng.normal(size=2)), program)
    with pytest.raises(TrainingError, match="an external program runs in the workflow"):
        Trainer(small(), model).train_online(1, 1, 8)


def test_an_ensemble_is_not_trained():
    with pytest.raises(TypeError, match=r"got Ensemble: to go on from a file, AmortizedPosterior\.load"):
        Trainer(Ensemble([small()]))


def test_contexts_reach_the_networks_by_themselves():
    contexts = cf.ContextGenerator(
        lambda rng: {"noise": rng.choice([0.3, 3.0])}, lambda rng: {"n_obs": int(rng.integers(1, 17))}
    )

    def noisy(theta, rng, noise, n_obs):
        return theta + noise * rng.normal(size=(n_obs, 2))

    simulator = cf.Simulator(noisy, context_generator=contexts)
    model = cf.GenerativeModel(cf.Prior(lambda rng: rng.normal(size=2)), simulator)
    net = InvertibleNetwork(2, 2, coupling_settings={"dense_args": {"units": 16}})
    posterior = AmortizedPosterior(net, DeepSet(4, units=16))
    Trainer(posterior, model, default_lr=5e-3).train_online(2, 200, 32)
    rng = np.random.default_rng(8)
    for n_obs, noise in ((2, 0.3), (15, 0.3), (15, 3.0)):
        data = {"x": noise * rng.normal(size=(100, n_obs, 2)), "noise": np.full(100, noise)}
        sd = posterior.sample(data, 100, seed=1).std(axis=1).mean()
        np.testing.assert_allclose(sd, 1 / np.sqrt(1 + n_obs / noise**2), rtol=0.35)
    Trainer(posterior, model).train_rounds(1, 32, 1, 8)
    assert np.isfinite(posterior.sample(data, 3)).all()


def test_validation_sees_no_more_elements_at_once_than_draws_do(monkeypatch):
    """However long data sets are: a job whose updates fit into its memory does not end at its first validation."""
    losses, sizes = {}, {2**18: [], 60: []}
    whole = AmortizedPosterior.compute_loss

    def compute_loss(self, prepared, training=False):
        if not training:
            sizes[most].append(prepared["parameters"].shape[0])
        return whole(self, prepared, training)

    monkeypatch.setattr(AmortizedPosterior, "compute_loss", compute_loss)
    monkeypatch.setattr(Epochs, "_validation_loss", Epochs._validation_loss.python_function)
    for most in sizes:
        monkeypatch.setattr(parts, "_ELEMENTS_AT_ONCE", most)
        history = Trainer(small(), simulate, seed=1).train_online(1, iterations_per_epoch=2, validation_sims=10)
        losses[most] = history.table()["validation_loss"]
    assert (max(sizes[2**18]), max(sizes[60])) == (10, 6)
    np.testing.assert_allclose(losses[60], losses[2**18], rtol=1e-5)
