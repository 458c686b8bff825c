"""Laws that every invertible network keeps, whatever it is built of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from network_laws import randomize, rebuilt

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks.act_norm import ActNorm
from cinnflow.networks.invertible_network import InvertibleNetwork

DESIGNS = ("affine", "spline", "interleaved")
WIDTHS = (1, 2, 5, 50)
SMALL = {"dense_args": {"units": 8}}


def network(num_params=2, condition_dim=7, coupling_design="affine", dtype="float64", scale=0.3, **kwargs):
    coupling_settings = dict.fromkeys(("affine", "spline"), SMALL) if coupling_design == "interleaved" else SMALL
    net = InvertibleNetwork(
        num_params, 2, coupling_design, {**coupling_settings, **kwargs.pop("more", {})}, dtype=dtype, **kwargs
    )
    net.build((None, num_params), (None, condition_dim) if condition_dim else None)
    randomize(net, scale=scale)
    return net


def inputs(net, count=4, condition_dim=7, seed=0):
    rng = np.random.default_rng(seed)
    x = tf.constant(rng.standard_normal((count, net.num_params)), net.compute_dtype)
    condition = tf.constant(rng.standard_normal((count, condition_dim)), net.compute_dtype) if condition_dim else None
    return x, condition


COMBINATIONS = [
    pytest.param(
        {
            "coupling_design": design,
            "permutation": permutation,
            "use_act_norm": act_norm,
            "num_params": width,
            "condition_dim": condition_dim,
        },
        id=f"{design}-{permutation}-{'act_norm' if act_norm else 'plain'}-{width}-{condition_dim}",
    )
    for design, permutation, act_norm, width, condition_dim in itertools.product(
        DESIGNS, ("fixed", "learnable", None), (True, False), WIDTHS, (0, 7)
    )
]


@pytest.mark.parametrize("options", COMBINATIONS)
def test_inverse_undoes_forward_and_log_determinant_is_that_of_the_autograd_jacobian(options):
    net = network(**options)
    x, condition = inputs(net, condition_dim=options["condition_dim"])
    z, log_det = net(x, condition)
    back, inverse_log_det = net(z, condition, inverse=True)

    np.testing.assert_allclose(back, x, atol=1e-10)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-10)
    expected = np.linalg.slogdet(jacobian(net, x[:1], None if condition is None else condition[:1]))[1]
    np.testing.assert_allclose(log_det[0], expected, atol=1e-8)


def jacobian(net, x, condition):
    """dz/dx at one x, in one backward pass: row i of as many copies of x answers for the gradient of zᵢ."""
    copies = tf.repeat(x, net.num_params, axis=0)
    with tf.GradientTape() as tape:
        tape.watch(copies)
        z, _ = net(copies, condition)
        diagonal = tf.reduce_sum(tf.linalg.diag_part(z))
    return tape.gradient(diagonal, copies).numpy()


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("width", WIDTHS)
def test_inverse_undoes_forward_in_single_precision(design, width):
    for scale in (0.1, 0.3):
        net, exact = (
            network(width, coupling_design=design, dtype=dtype, permutation="learnable", scale=scale)
            for dtype in ("float32", "float64")
        )
        exact.set_weights(net.get_weights())
        x, condition = inputs(net, count=200)
        z = net(x, condition)[0]
        back, _ = net(z, condition, inverse=True)
        # What the last digit of z alone is worth, in a network that stretches far.
        single, double = (
            exact(tf.cast(end, tf.float64), tf.cast(condition, tf.float64), inverse=True)[0].numpy()
            for end in (z, z + np.spacing(z))
        )
        digit = np.abs(single - double).max()
        assert digit < 2e-3
        np.testing.assert_allclose(back, x, atol=max(1e-4, 10 * digit))


@pytest.mark.parametrize("soft_flow", [False, True])
@pytest.mark.parametrize("permutation", ["fixed", "learnable"])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("width", [2, 5])
def test_every_weight_has_a_gradient(design, permutation, width, soft_flow):
    net = network(width, coupling_design=design, permutation=permutation, use_soft_flow=soft_flow)
    # Within the splines' domain, so that every bin may be used.
    x, condition = inputs(net, count=500)
    with tf.GradientTape() as tape:
        z, log_det = net(x, condition)
        loss = tf.reduce_mean(0.5 * tf.reduce_sum(z**2, axis=-1) - log_det)
    gradients = tape.gradient(loss, net.trainable_variables)
    for weight, gradient in zip(net.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(gradient != 0), weight.path
        assert np.all(np.isfinite(gradient)), weight.path


@pytest.mark.parametrize("design", DESIGNS)
def test_density_integrates_to_one(design):
    for width, points in ((1, 20_001), (2, 601)):
        net = network(width, condition_dim=0, coupling_design=design, permutation="learnable", scale=0.2)
        axis = np.linspace(-15.0, 15.0, points)
        grid = np.stack(np.meshgrid(*[axis] * width, indexing="ij"), axis=-1).reshape(-1, width)
        z, log_det = net(tf.constant(grid))
        density = np.exp(-0.5 * np.sum(np.square(z), axis=-1) - 0.5 * width * np.log(2 * np.pi) + log_det)
        assert density.sum() * (axis[1] - axis[0]) ** width == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("design", DESIGNS)
def test_vectors_of_a_batch_do_not_see_each_other(design):
    net = network(5, coupling_design=design)
    x, condition = inputs(net, count=6)
    z, log_det = net(x, condition)
    alone, alone_log_det = net(x[2:3], condition[2:3])
    np.testing.assert_allclose(z[2:3], alone, atol=1e-12)
    np.testing.assert_allclose(log_det[2:3], alone_log_det, atol=1e-12)


@pytest.mark.parametrize("soft_flow", [False, True])
def test_one_condition_serves_many_vectors(soft_flow):
    net = network(3, use_soft_flow=soft_flow)
    rng = np.random.default_rng(3)
    z = tf.constant(rng.standard_normal((2, 10, 3)))
    condition = tf.constant(rng.standard_normal((2, 7)))
    x, log_det = net(z, condition[:, None, :], inverse=True)
    x1, log_det1 = net(z[1], tf.repeat(condition[1:], 10, axis=0), inverse=True)
    np.testing.assert_allclose(x[1], x1, atol=1e-12)
    np.testing.assert_allclose(log_det[1], log_det1, atol=1e-12)
    assert log_det.shape == (2, 10)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_network_made_again_from_its_configuration_is_the_same(design):
    net = network(4, coupling_design=design, permutation="learnable", use_soft_flow=True)
    x, condition = inputs(net)
    copy = rebuilt(net, (None, 4), (None, 7))
    np.testing.assert_array_equal(copy(x, condition)[0], net(x, condition)[0])


@pytest.mark.parametrize("design", DESIGNS)
@given(
    x=arrays(np.float32, (5, 3), elements=st.floats(-(2.0**60), 2.0**60, width=32)),
    condition=arrays(np.float32, (5, 7), elements=st.floats(-(2.0**20), 2.0**20, width=32)),
)
@settings(max_examples=25)
def test_extreme_values_never_give_nan(design, x, condition):
    net = EXTREME.setdefault(design, network(3, coupling_design=design, dtype="float32"))
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z, log_det = net(x, tf.constant(condition))
        total = tf.reduce_sum(log_det)
    assert np.all(np.isfinite(z)) and np.all(np.isfinite(log_det))
    assert not np.any(np.isnan(tape.gradient(total, x)))
    assert not np.any(np.isnan(net(x, tf.constant(condition), inverse=True)[0]))


EXTREME: dict[str, InvertibleNetwork] = {}


@pytest.mark.parametrize("design", ["affine", "spline"])
def test_act_norm_starts_from_what_reaches_each_layer(design):
    data = np.random.default_rng(0).normal([5.0, -300.0, 0.01], [2.0, 100.0, 1e-3], size=(500, 3))
    settings = {"permutation": "learnable", "act_norm_init": data, "dtype": "float64"}
    net = InvertibleNetwork(3, 3, design, SMALL, **settings)
    net.build((None, 3), (None, 2))
    x, condition = data, np.zeros((1, 2))
    for bijection in net.bijections:
        x = bijection(x, condition)[0].numpy()
        if isinstance(bijection, ActNorm):
            np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=1e-8)
            np.testing.assert_allclose(x.std(axis=0), 1.0, atol=1e-8)


def test_a_posterior_starts_its_act_norms_from_the_first_simulations():
    """Correlated parameters, which a rotation gives other variances, though each of them was standardized."""
    theta = np.random.default_rng(0).multivariate_normal([5.0, -3.0], [[4.0, 1.9], [1.9, 1.0]], 500)
    net = InvertibleNetwork(2, 2, coupling_settings=SMALL, permutation="learnable")
    posterior = AmortizedPosterior(net)
    posterior.adapt(theta, np.zeros((500, 3)))
    prepared = posterior.prepare({"parameters": theta, "direct_conditions": np.zeros((500, 3))})
    x = prepared["parameters"]
    for bijection in net.bijections:
        x = bijection(x, prepared["direct_conditions"])[0].numpy()
        if isinstance(bijection, ActNorm):
            np.testing.assert_allclose(x.std(axis=0), 1.0, atol=1e-4)


def test_networks_saved_with_soft_flow_s_bounds_that_had_no_effect_are_read():
    config = {**InvertibleNetwork(2, 2).get_config(), "soft_flow_bounds": [1e-3, 5e-2]}
    assert not InvertibleNetwork.from_config(config).use_soft_flow
    noisy = InvertibleNetwork(2, 2, use_soft_flow=True, soft_flow_bounds=(1e-4, 1e-2))
    assert InvertibleNetwork.from_config(noisy.get_config()).soft_flow_bounds == (1e-4, 1e-2)


def test_soft_flow_adds_noise_in_training_alone():
    net = network(2, use_soft_flow=True)
    x, condition = inputs(net)
    np.testing.assert_array_equal(net(x, condition)[0], net(x, condition)[0])
    assert np.any(net(x, condition, training=True)[0] != net(x, condition)[0])
    assert np.any(net(x, condition, training=True)[0] != net(x, condition, training=True)[0])


@pytest.mark.parametrize("dropout", [{"dropout": True}, {"dropout_prob": 0.5}])
def test_dropout_acts_in_training_alone(dropout):
    net = network(2, more=dropout)
    x, condition = inputs(net)
    np.testing.assert_array_equal(net(x, condition)[0], net(x, condition)[0])
    assert np.any(net(x, condition, training=True)[0] != net(x, condition)[0])


def test_the_seed_decides_the_initial_weights():
    weights = [np.concatenate([np.ravel(weight) for weight in network_of(seed).get_weights()]) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.any(weights[0] != weights[2])


def network_of(seed):
    net = InvertibleNetwork(3, 2, coupling_settings=SMALL, seed=seed)
    net.build((None, 3), (None, 2))
    return net


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coupling_design": "cubic"}, "affine, spline or interleaved"),
        ({"permutation": "random"}, "fixed, learnable or None"),
        ({"coupling_settings": {"units": 3}}, "units"),
        ({"coupling_settings": {"dense_args": {"unit": 3}}}, "units, activation, kernel_regularizer"),
        ({"coupling_design": "interleaved", "coupling_settings": {"bins": 3}}, "each of affine and spline"),
        ({"coupling_design": "interleaved", "num_coupling_layers": 1}, "num_coupling_layers from 2 on"),
        ({"num_coupling_layers": 0}, "num_coupling_layers takes a whole number from 1 on, got 0"),
        ({"num_coupling_layers": 2.0}, "num_coupling_layers takes a whole number from 1 on, got 2.0"),
        ({"coupling_settings": {"num_dense": 0}}, "num_dense takes a whole number from 1 on, got 0"),
        ({"coupling_settings": {"dense_args": {"units": 0}}}, "units takes a whole number from 1 on, got 0"),
        ({"coupling_settings": {"soft_clamping": 0}}, "soft_clamping takes a number above 0, got 0"),
        ({"coupling_settings": {"dropout_prob": 1}}, "dropout_prob takes a share from 0 to below 1, got 1"),
        ({"coupling_design": "spline", "coupling_settings": {"soft_clamping": -1.9}}, "soft_clamping takes a number"),
        ({"coupling_design": "spline", "coupling_settings": {"default_domain": (-5, 5)}}, "default_domain takes a num"),
        ({"coupling_design": "spline", "coupling_settings": {"bins": 1}}, "bins takes a whole number from 2 on"),
        ({"use_soft_flow": True, "soft_flow_bounds": (5e-2, 1e-3)}, "soft_flow_bounds takes two standard deviations"),
        ({"use_soft_flow": True, "soft_flow_bounds": (-1e-3, 5e-2)}, "soft_flow_bounds takes two standard deviations"),
        ({"use_soft_flow": True, "soft_flow_bounds": 0.1}, "soft_flow_bounds takes two standard deviations.*got 0.1"),
        ({"soft_flow_bounds": (1e-3, 1e-2)}, "no effect with use_soft_flow=False"),
        ({"seed": -1}, "seed takes a whole number from 0 on, got -1"),
        ({"seed": None}, "seed takes a whole number from 0 on, got None"),
        ({"act_norm_init": np.zeros((9, 2)), "use_act_norm": False}, "no effect with use_act_norm=False"),
    ],
)
def test_settings_that_are_none_are_refused_with_what_is_taken(options, message):
    with pytest.raises(ValueError, match=message):
        InvertibleNetwork(2, **options)


def test_act_norm_starts_from_vectors_of_its_width_alone():
    for wrong in (np.zeros((9, 3)), np.zeros(2), np.zeros((0, 2))):
        with pytest.raises(ValueError, match=r"act_norm_init takes vectors, shape \(n, 2\), got"):
            InvertibleNetwork(2, 1, act_norm_init=wrong).build((None, 2))


def test_vectors_of_another_width_are_refused():
    with pytest.raises(ValueError, match="takes vectors of 2 parameters"):
        network(2)(tf.zeros((4, 3), tf.float64), tf.zeros((4, 7), tf.float64))
