"""Bounds: there and back, exact log-determinants, draws that never leave the support."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from cinnflow.inference.parameter_transform import ParameterTransform

LOWER = np.array([-np.inf, 0.0, -np.inf, -2.0])
UPPER = np.array([np.inf, np.inf, 5.0, 1e-3])


def inside(count=50, seed=0):
    rng = np.random.default_rng(seed)
    normal, positive, uniform = rng.normal(size=count), rng.exponential(size=count), rng.uniform(size=count)
    return np.stack([normal, positive, 5.0 - positive, -2.0 + 2.001 * uniform], axis=1)


def test_there_and_back():
    transform, theta = ParameterTransform(LOWER, UPPER), inside()
    np.testing.assert_allclose(transform.inverse(transform.forward(theta)[0]), theta, rtol=1e-12, atol=1e-12)


def test_tensors_of_single_precision_are_taken():
    transform, theta = ParameterTransform(LOWER, UPPER), inside().astype(np.float32)
    for taken in (theta, tf.constant(theta)):
        u, log_det = tf.function(transform.forward)(taken)
        assert u.dtype == log_det.dtype == tf.float64
        np.testing.assert_allclose(transform.inverse(tf.cast(u, tf.float32)), theta, rtol=1e-5, atol=1e-5)


def test_log_determinant_is_that_of_the_autograd_jacobian():
    transform, theta = ParameterTransform(LOWER, UPPER), tf.constant(inside())
    with tf.GradientTape() as tape:
        tape.watch(theta)
        u, log_det = transform.forward(theta)
    derivatives = tape.gradient(u, theta)
    np.testing.assert_allclose(log_det, np.log(derivatives).sum(axis=1), rtol=1e-10)


@given(arrays(np.float64, (3, 4), elements=st.floats(allow_nan=False)))
def test_nothing_leaves_the_bounds(u):
    theta = ParameterTransform(LOWER, UPPER).inverse(u).numpy()
    assert np.all((theta >= LOWER) & (theta <= UPPER))
    assert not np.any(np.isnan(theta))


@given(st.floats(-1e250, 1e250), st.floats(1e-12, 1e12), st.floats(0, 1))
def test_any_interval_keeps_its_draws(lower, width, share):
    upper = lower + width * max(1.0, abs(lower))
    transform = ParameterTransform([lower], [upper])
    theta = np.clip(lower + share * (upper - lower), lower, upper)
    u, log_det = transform.forward([[theta]])
    assert np.all(np.isfinite(u)) and np.all(np.isfinite(log_det))
    assert lower <= transform.inverse(u).numpy()[0, 0] <= upper


def test_rounding_takes_nothing_over_an_upper_bound():
    rng = np.random.default_rng(0)
    lower, upper = -rng.lognormal(0.0, 2.0, size=2000), rng.lognormal(0.0, 2.0, size=2000)
    assert np.any(lower + (upper - lower) > upper)
    theta = ParameterTransform(lower, upper).inverse(np.full((1, 2000), 50.0)).numpy()
    assert np.all(theta <= upper)


def test_parameters_on_a_bound_are_taken_as_just_inside():
    u, log_det = ParameterTransform([0.0], [1.0]).forward([[0.0], [1.0]])
    assert np.all(np.isfinite(u)) and np.all(np.isfinite(log_det))


def test_inside_tells_vectors_that_lie_outside():
    transform = ParameterTransform([0.0, -np.inf], [1.0, np.inf])
    assert transform.inside([[0.5, 9.0], [1.5, 0.0], [-0.1, 0.0], [1.0, 0.0]]).numpy().tolist() == [
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(("lower", "upper"), [([1.0], [1.0]), ([0.0, 0.0], [1.0])])
def test_bounds_that_cannot_be_are_refused(lower, upper):
    with pytest.raises(ValueError, match="each lower bound below its upper one"):
        ParameterTransform(lower, upper)


def test_parameters_on_a_bound_are_taken_as_half_as_far_as_the_closest_other_one():
    transform = ParameterTransform(LOWER, UPPER)
    theta = inside(2000)
    on_bounds = np.array([0.0, 0.0, 5.0, -2.0])
    transform.adapt(np.concatenate([theta, on_bounds[None]]))
    u = transform.forward(theta)[0].numpy()
    closest = np.array([0.0, theta[:, 1].min() / 2, 5 - (5 - theta[:, 2]).min() / 2, -2 + (theta[:, 3] + 2).min() / 2])
    on = transform.forward(on_bounds[None])[0].numpy()
    np.testing.assert_allclose(on, transform.forward(closest[None])[0], rtol=1e-4)
    assert np.all(np.abs(on - u.mean(axis=0)) < 12 * u.std(axis=0))
    np.testing.assert_array_equal(u, ParameterTransform(LOWER, UPPER).forward(theta)[0], "no other one is moved")
    nearly = np.array([0.0, 1e-100, 5.0 - 1e-14, -2.0 + 1e-14])
    np.testing.assert_array_equal(
        transform.forward(nearly[None])[0], ParameterTransform(LOWER, UPPER).forward(nearly[None])[0], "nor one closer"
    )


def test_what_is_no_number_stays_none():
    assert np.isnan(ParameterTransform(LOWER, UPPER).forward(np.full((1, 4), np.nan))[0]).all()


@pytest.mark.parametrize("smallest", [1e-3, 1e-6])
def test_a_density_integrates_to_one_however_far_from_a_bound_parameters_were(smallest):
    transform = ParameterTransform(np.zeros(1), np.ones(1))
    transform.adapt(np.array([[smallest], [1 - smallest]]))
    u = np.linspace(-40, 40, 20_001)
    theta = transform.inverse(u[:, None]).numpy()
    forward, log_det = transform.forward(theta)
    density = np.exp(stats.norm(0, 5).logpdf(forward.numpy()[:, 0]) + log_det.numpy())
    assert np.trapezoid(density * theta[:, 0] * (1 - theta[:, 0]), u) == pytest.approx(1, abs=1e-3)
