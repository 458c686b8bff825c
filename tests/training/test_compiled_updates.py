"""Compiled updates are the updates that the optimizer would take one by one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from conjugate_gaussian import simulate

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import InvertibleNetwork
from cinnflow.training.compiled_updates import UPDATES_PER_CALL, CompiledUpdates


def adapted(summary_net=None, **network):
    settings = {"num_dense": 1, "dense_args": {"units": 8, "kernel_regularizer": keras.regularizers.L2(0.1)}}
    posterior = AmortizedPosterior(InvertibleNetwork(2, 1, coupling_settings=settings, **network), summary_net)
    simulations = simulate(60, np.random.default_rng(0), n_obs=3)
    posterior.adapt(simulations["prior_draws"], simulations["sim_data"])
    return posterior, posterior.prepare(
        {"parameters": simulations["prior_draws"], **posterior.configure(simulations["sim_data"])}
    )


RATES = np.linspace(1e-2, 2e-3, 7)


def updates_of(posterior, largest_gradient=1.0):
    return CompiledUpdates(posterior, keras.optimizers.Adam(), largest_gradient)


def convolutions():
    keras.utils.set_random_seed(5)
    return keras.Sequential([keras.layers.Conv1D(4, 2), keras.layers.GlobalAveragePooling1D()])


@pytest.mark.parametrize(
    ("largest", "shortened", "summary_net"), [(0.2, True, None), (100.0, False, None), (100.0, False, convolutions)]
)
def test_they_agree_with_updates_taken_one_by_one(largest, shortened, summary_net):
    rows = np.random.default_rng(1).integers(60, size=(7, 16))
    compiled, pool = adapted(summary_net and summary_net())
    updates = updates_of(compiled, largest)
    losses = updates(pool, rows, RATES)
    updates.give_weights()

    plain, pool = adapted(summary_net and summary_net())
    optimizer, expected = keras.optimizers.Adam(global_clipnorm=largest), []
    for batch, rate in zip(rows, RATES, strict=True):
        with tf.GradientTape() as tape:
            loss = plain.compute_loss({name: tf.gather(array, batch) for name, array in pool.items()}, training=True)
            total = loss + tf.add_n(plain.losses)
        gradient = tape.gradient(total, plain.trainable_variables)
        assert (tf.linalg.global_norm(gradient) > largest) == shortened
        optimizer.learning_rate.assign(rate)
        optimizer.apply(gradient, plain.trainable_variables)
        expected.append(float(loss))

    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for one, other in zip(compiled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_gradient_too_large_for_its_norm_makes_the_loss_no_number():
    posterior, _ = adapted()
    updates = updates_of(posterior)
    gradient = np.zeros(updates.weights.shape, np.float32)
    gradient[0] = 3e19
    assert np.isnan(updates._shortened(tf.constant(gradient))[0])
    gradient[0] = 3e10
    assert float(updates._shortened(tf.constant(gradient))[0]) == pytest.approx(1.0)


def test_a_shorter_call_compiles_nothing_anew_and_takes_no_more_updates():
    posterior, pool = adapted()
    updates = updates_of(posterior)
    rows, rates = np.zeros((UPDATES_PER_CALL, 16), np.int32), np.full(UPDATES_PER_CALL, 1e-3)
    assert updates(pool, rows, rates).shape == (UPDATES_PER_CALL,)
    assert updates(pool, rows[:3], rates[:3]).shape == (3,)
    assert int(updates.optimizer.iterations) == UPDATES_PER_CALL + 3
    assert updates._run.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(("summary_net", "by_xla"), [(None, True), (convolutions, False)])
def test_convolutions_are_not_left_to_xla_on_a_cpu(summary_net, by_xla):
    posterior, pool = adapted(summary_net and summary_net())
    updates = updates_of(posterior)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "list_logical_devices", lambda _: [])
        updates(pool, np.zeros((7, 16), np.int32), RATES)
    arguments = pool, tf.zeros((UPDATES_PER_CALL, 16), tf.int32), tf.zeros(UPDATES_PER_CALL), tf.constant(7)
    program = updates._run.get_concrete_function(*arguments).function_def
    assert program.attr["_XlaMustCompile"].b == by_xla


def test_the_posterior_has_its_weights_once_they_are_given():
    posterior, pool = adapted()
    updates = updates_of(posterior)
    start = posterior.get_weights()
    updates(pool, np.zeros((7, 16), np.int32), RATES)
    np.testing.assert_array_equal(posterior.trainable_variables[0], start[0])
    updates.give_weights()
    trained = posterior.get_weights()
    assert any(np.any(one != other) for one, other in zip(start, trained, strict=True))

    posterior.set_weights(start)
    updates.take_weights()
    updates.give_weights()
    for one, other in zip(posterior.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_second_training_takes_the_program_of_the_first_and_starts_as_it_did():
    posterior, pool = adapted()
    weights = posterior.get_weights()
    updates, rows = updates_of(posterior), np.arange(60).reshape(4, 15)
    trained = []
    for _ in range(2):
        posterior.set_weights(weights)
        updates.start()
        updates(pool, rows, RATES[:4])
        trained.append(updates.weights.numpy())
    np.testing.assert_array_equal(*trained)
    assert updates._run.experimental_get_tracing_count() == 1


def test_a_program_is_made_for_what_may_be_trained():
    posterior, _ = adapted()
    updates = updates_of(posterior)
    assert updates.made_for(posterior, None)
    assert not updates.made_for(posterior, dict)
    assert not updates.made_for(adapted()[0], None)
    posterior.inference_net.trainable = False
    assert not updates.made_for(posterior, None)


def test_every_update_has_noise_of_its_own():
    posterior, pool = adapted(use_soft_flow=True)
    generator = posterior.inference_net.noise
    before = generator.state.numpy()
    posterior.compute_loss(pool, training=True)
    one_update = generator.state.numpy() - before
    assert one_update.any()
    updates_of(posterior)(pool, np.zeros((7, 16), np.int32), RATES)
    np.testing.assert_array_equal(generator.state.numpy() - before, 8 * one_update)
