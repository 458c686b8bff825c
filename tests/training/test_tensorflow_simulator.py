"""Simulations inside the compiled updates are those that would have been made ahead of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from conjugate_gaussian import exact_log_prob
from conjugate_gaussian import simulate as simulate_gaussian

import cinnflow as cf
from cinnflow.inference.configurator import Configurator
from cinnflow.inference.raw_data import conditions_of
from cinnflow.training.errors import TrainingError
from cinnflow.training.simulation_inside import SimulationInside

OBSERVATIONS = 10


def simulate(theta, seed):
    noise = tf.random.stateless_normal((theta.shape[0], OBSERVATIONS, 2), seed, dtype=tf.float64)
    return theta[:, None] + noise


def model(simulator=simulate, **prior):
    drawn = cf.Prior(lambda rng, count: rng.standard_normal((count, 2)), names=["a", "b"], batched=True, **prior)
    return cf.GenerativeModel(drawn, cf.TensorFlowSimulator(simulator))


def small_posterior():
    settings = {"num_dense": 1, "dense_args": {"units": 16}}
    network = cf.InvertibleNetwork(2, 1, coupling_settings=settings, seed=1)
    return cf.AmortizedPosterior(network, cf.DeepSet(summary_dim=4, num_dense=1, units=16, seed=2))


def train(generative_model, iterations=30, **kwargs):
    trainer = cf.Trainer(small_posterior(), generative_model, simulation_workers=0, seed=3, **kwargs)
    history = trainer.train_online(2, iterations, 16, validation_sims=64)
    return trainer.amortizer, history


def test_a_call_gives_what_the_seed_says():
    generative = model()
    one, other = (generative(8, np.random.default_rng(seed)) for seed in (0, 0))
    assert one["sim_data"].shape == (8, OBSERVATIONS, 2)
    np.testing.assert_array_equal(one["sim_data"], other["sim_data"])
    assert not np.array_equal(one["sim_data"], generative(8, np.random.default_rng(1))["sim_data"])


def test_batches_inside_are_those_that_are_made_ahead():
    generative, posterior = model(), small_posterior()
    pilot = generative(100, np.random.default_rng(0))
    posterior.adapt(pilot["prior_draws"], pilot["sim_data"])
    ahead = generative(16, np.random.default_rng(5))
    expected = posterior.prepare({"parameters": ahead["prior_draws"], **posterior.configure(ahead["sim_data"])})

    inside = SimulationInside(generative, posterior)
    drawn = inside.prepare(inside.configure(inside.draw(16, np.random.default_rng(5))))
    found = tf.function(inside, jit_compile=True)(drawn)

    assert set(found) == set(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, atol=1e-5)


def test_training_is_that_on_batches_made_ahead():
    generative = model()
    assert SimulationInside.takes(generative)
    inside = train(generative)[1].table()
    ahead = train(lambda size, rng: generative(size, rng))[1].table()
    for column in ("loss", "validation_loss"):
        np.testing.assert_allclose(inside[column], ahead[column], rtol=1e-3)


def test_it_is_compiled_once_for_one_model():
    trainer = cf.Trainer(small_posterior(), model(), simulation_workers=0)
    updates = []
    for _ in range(2):
        trainer.train_online(1, 3, 16)
        updates.append(trainer._updates)
    trainer.generative_model = model(lambda theta, seed: 0 * simulate(theta, seed))
    trainer.train_online(1, 3, 16)
    assert updates[0] is updates[1] is not trainer._updates
    assert updates[0]._run.experimental_get_tracing_count() == 1


def test_it_comes_to_the_known_posterior():
    posterior, _ = train(model(), iterations=300)
    truth = simulate_gaussian(2000, np.random.default_rng(9), n_obs=OBSERVATIONS)
    theta, x = truth["prior_draws"], truth["sim_data"]
    assert np.mean(exact_log_prob(theta, x) - posterior.log_prob(theta, x)) < 0.1


def test_a_training_that_was_cut_off_goes_on_to_the_same_bits(tmp_path):
    undisturbed, _ = train(model())

    class Stop(Exception):
        pass

    def stop(_):
        raise Stop

    with pytest.raises(Stop):
        train(model(), checkpoint_path=tmp_path, on_epoch=stop)
    assert list(tmp_path.iterdir())
    resumed, history = train(model(), checkpoint_path=tmp_path)
    assert len(history.epochs) == 2
    for one, other in zip(undisturbed.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_finite_simulations_stand_in_for_those_that_are_not():
    def half_of_them(theta, seed):
        return tf.where(theta[:, :1, None] > 0, simulate(theta, seed), np.nan)

    generative = model(half_of_them)
    posterior, history = train(generative)
    assert np.isfinite(history.table()["loss"]).all()
    ahead = generative(16, np.random.default_rng(5))
    finite = ahead["prior_draws"][:, 0] > 0
    assert 0 < finite.sum() < 16
    rows = np.resize(np.flatnonzero(finite), 16)
    expected = posterior.prepare(
        {"parameters": ahead["prior_draws"][rows], **posterior.configure(ahead["sim_data"][rows])}
    )

    inside = SimulationInside(generative, posterior)
    found = inside(inside.prepare(inside.draw(16, np.random.default_rng(5))))
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, atol=1e-5)


def test_training_stops_where_no_simulation_is_finite():
    with pytest.raises((TrainingError, ValueError), match="finite"):
        train(model(lambda theta, seed: simulate(theta, seed) * np.nan))


def test_parameters_outside_the_bounds_are_refused_inside_too():
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 2), names=["a", "b"], lower=0.0)
    pilot = model()(100, np.random.default_rng(0))
    posterior.adapt(np.abs(pilot["prior_draws"]), pilot["sim_data"].reshape(100, -1))
    narrow = model(lambda theta, seed: tf.reshape(simulate(theta, seed), (theta.shape[0], -1)))
    with pytest.raises(ValueError, match=r"parameter . is -.* in a simulation, .* bounds are 0 and inf"):
        cf.Trainer(posterior, narrow).train_online(1, 2, 16)


def test_what_cannot_go_inside_is_made_ahead():
    context = cf.ContextGenerator(batchable_context_fun=lambda rng: rng.uniform(0.5, 2.0))
    prior = cf.Prior(
        lambda rng, count, scale: scale[:, None] * rng.standard_normal((count, 2)),
        names=["a", "b"],
        batched=True,
        context_generator=context,
    )
    generative = cf.GenerativeModel(prior, cf.TensorFlowSimulator(simulate))
    assert not SimulationInside.takes(generative)
    _, history = train(generative)
    assert np.isfinite(history.table()["loss"]).all()


def test_tensors_are_arranged_as_arrays_are():
    rng = np.random.default_rng(0)
    mask = rng.random((5, 7)) < 0.5
    data = {
        "x": rng.standard_normal((5, 7, 2)),
        "y": rng.standard_normal((5, 7)),
        "scale": rng.standard_normal(5),
        "mask": mask,
    }
    configurator = Configurator.from_data(conditions_of({"sim_data": data}))
    expected = configurator(data)
    found = tf.function(configurator)({name: tf.constant(array) for name, array in data.items()})
    assert set(found) == set(expected) == {"summary_conditions", "summary_mask", "direct_conditions"}
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_xla_cannot_compile_is_simulated_ahead():
    def counts(theta, seed):
        shape = (theta.shape[0], OBSERVATIONS, 2)
        rate = tf.broadcast_to(tf.exp(theta)[:, None], shape)
        return tf.random.stateless_poisson(shape, seed, rate, tf.float64)

    generative = model(counts)
    assert not SimulationInside.takes(generative)
    found = generative(1000, np.random.default_rng(0))
    np.testing.assert_allclose(found["sim_data"].mean(), np.exp(found["prior_draws"]).mean(), rtol=0.05)
    trained = train(generative, 3)[1].table()
    ahead = train(lambda size, rng: generative(size, rng), 3)[1].table()
    np.testing.assert_array_equal(trained["loss"], ahead["loss"])
