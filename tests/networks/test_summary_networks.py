"""Laws of summary networks: order, masks, gradients, configurations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from network_laws import randomize, rebuilt

from cinnflow.networks import DeepSet, SetTransformer, TimeSeriesNetwork
from cinnflow.networks.deep_set import EquivariantModule
from cinnflow.networks.masking import with_spread

SETS = {
    "deep_set": lambda: DeepSet(3, units=8),
    "deep_set_equivariant": lambda: DeepSet(3, num_equiv=2, units=8),
    "set_transformer": lambda: SetTransformer(3, num_inducing_points=4, num_seeds=2, num_heads=2, units=8),
}
NETWORKS = {**SETS, "time_series": lambda: TimeSeriesNetwork(3, filters=4, units=8)}


def made(name, steps=6, channels=2):
    network = NETWORKS[name]()
    network.build((None, steps, channels))
    randomize(network)
    return network


def series(count=4, steps=6, channels=2, seed=0):
    return np.random.default_rng(seed).standard_normal((count, steps, channels)).astype(np.float32)


@pytest.mark.parametrize("name", SETS)
def test_the_order_of_a_set_does_not_matter(name):
    network, x = made(name), series()
    np.testing.assert_allclose(network(x), network(x[:, [3, 1, 5, 0, 2, 4]]), atol=1e-5)


def test_the_order_of_a_time_series_matters():
    network, x = made("time_series"), series()
    assert np.abs(network(x) - network(x[:, ::-1])).max() > 1e-2


def test_an_equivariant_module_reorders_with_its_set():
    module, x, order = EquivariantModule(units=8), series(), [3, 1, 5, 0, 2, 4]
    module.build(x.shape)
    np.testing.assert_allclose(module(x[:, order]), np.asarray(module(x))[:, order], atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_padded_data_set_has_the_summary_of_the_data_set_alone(name):
    network, x = made(name), series()
    padded = np.concatenate([x, np.full((4, 5, 2), 1e6, np.float32)], axis=1)
    mask = np.arange(11) < 6
    np.testing.assert_allclose(network(padded, mask=np.tile(mask, (4, 1))), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_masked_has_no_say(name):
    network, x = made(name), series()
    mask = np.array([[1, 1, 0, 1, 0, 1]] * 4, bool)
    other = np.where(mask[..., None], x, np.float32(np.nan))
    np.testing.assert_allclose(network(other, mask=mask), network(x, mask=mask), atol=1e-6)
    assert np.abs(network(x, mask=mask) - network(x)).max() > 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_data_sets_of_a_batch_do_not_see_each_other(name):
    network, x = made(name), series()
    np.testing.assert_allclose(network(x)[1:2], network(x[1:2]), atol=1e-5)


@pytest.mark.parametrize("name", SETS)
def test_a_larger_set_of_the_same_elements_is_told_apart(name):
    network, x = made(name), series()
    assert np.abs(network(np.concatenate([x, x], axis=1)) - network(x)).max() > 1e-3


@pytest.mark.parametrize("masked", [False, True])
def test_the_spread_of_each_channel_stands_behind_its_values(masked):
    x = 20 + np.float32([0.3, 5.0]) * series(steps=200)
    mask = np.tile(np.arange(200) < 120, (4, 1)) if masked else None
    seen = x[:, :120] if masked else x
    given = np.where(mask[..., None], x, np.float32(1e6)) if masked else x
    found = np.asarray(with_spread(ops.convert_to_tensor(given), mask))
    np.testing.assert_array_equal(found[..., :2], given)
    spread, expected = found[:, : seen.shape[1], 2:], np.log(seen.std(axis=1, keepdims=True))
    np.testing.assert_allclose(spread, np.broadcast_to(expected, spread.shape), atol=2e-3)
    assert (found[:, seen.shape[1] :, 2:] == 0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_an_element_alone_and_none_have_a_spread_with_a_gradient(count):
    x = tf.constant(series(steps=3))
    mask = np.tile(np.arange(3) < count, (4, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = with_spread(x, mask)
    np.testing.assert_allclose(found[..., 2:], np.log(0.01) * mask[..., None] * np.ones(2), rtol=1e-3)
    assert np.isfinite(tape.gradient(found, x)).all()


def test_a_channel_that_is_zero_throughout_has_no_spread():
    x = series()
    x[..., 1] = 0
    found = with_spread(tf.constant(x), None)
    assert (found[..., 3] == 0).numpy().all()
    assert (found[..., 2] != 0).numpy().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_has_a_gradient(name):
    network = made(name)
    x = tf.constant(series(20))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(x)))
    for weight, gradient in zip(
        network.trainable_variables, tape.gradient(loss, network.trainable_variables), strict=True
    ):
        assert gradient is not None and np.any(gradient != 0), weight.path


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_made_again_from_its_configuration_is_the_same(name):
    network, x = made(name), series()
    assert network.compute_output_shape((None, 6, 2)) == (None, 3)
    np.testing.assert_array_equal(rebuilt(network, (None, 6, 2))(x), network(x))


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (DeepSet, {"summary_dim": 0}),
        (DeepSet, {"num_equiv": -1}),
        (DeepSet, {"num_dense": 0}),
        (DeepSet, {"units": 8.0}),
        (SetTransformer, {"summary_dim": 2.5}),
        (SetTransformer, {"num_attention_blocks": 0}),
        (SetTransformer, {"num_inducing_points": 0}),
        (SetTransformer, {"num_seeds": 0}),
        (SetTransformer, {"num_heads": 0}),
        (TimeSeriesNetwork, {"summary_dim": -3}),
        (TimeSeriesNetwork, {"num_conv_layers": 0}),
        (TimeSeriesNetwork, {"filters": 0}),
        (TimeSeriesNetwork, {"kernel_size": -1}),
        (TimeSeriesNetwork, {"recurrent_units": 0}),
        (TimeSeriesNetwork, {"units": 0}),
    ],
)
def test_sizes_are_whole_numbers(kind, argument):
    with pytest.raises(ValueError, match=f"{next(iter(argument))} takes a whole number"):
        kind(**argument)


@pytest.mark.parametrize("kind", [DeepSet, SetTransformer, TimeSeriesNetwork])
@pytest.mark.parametrize("argument", ["input_dim", "input_shape"])
def test_the_size_of_the_input_is_no_argument(kind, argument):
    with pytest.raises(TypeError, match=f"{kind.__name__} takes no {argument}"):
        kind(**{argument: 2})
