"""Splines: monotone, the identity at first, affine in the tails."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from cinnflow.networks.spline_coupling import SplineCoupling


def raw_coefficients(scale, seed=0, bins=8, entries=1):
    rng = np.random.default_rng(seed)
    return tf.constant(scale * rng.standard_normal((1, entries, 2 + 3 * bins - 1)))


def test_zero_coefficients_give_the_identity():
    x = tf.constant(np.linspace(-9.0, 9.0, 101)[:, None])
    z, log_derivative = SplineCoupling(2, bins=8, dtype="float64").transform(x, raw_coefficients(0.0))
    np.testing.assert_allclose(z, x, atol=1e-12)
    np.testing.assert_allclose(log_derivative, 0.0, atol=1e-12)


def test_the_spline_rises_everywhere_and_meets_its_tails():
    coupling = SplineCoupling(2, bins=8, default_domain=3.0, dtype="float64")
    raw = raw_coefficients(2.0, seed=4)
    x = np.linspace(-40.0, 40.0, 200_001)
    z, log_derivative = (np.asarray(part)[:, 0] for part in coupling.transform(tf.constant(x[:, None]), raw))
    assert np.all(np.diff(z) > 0)
    # The mean slope between neighbours lies between their slopes where there is no jump.
    np.testing.assert_allclose(np.diff(z), np.exp(log_derivative[1:]) * np.diff(x), rtol=0.02, atol=2e-4)
    log_scale = float(coupling._unpack(raw)[0][0, 0])
    np.testing.assert_allclose(log_derivative[[0, -1]], log_scale, atol=1e-12)


def test_gradients_at_the_edges_of_bins_and_domain_are_finite():
    coupling = SplineCoupling(2, bins=8, default_domain=3.0, dtype="float64")
    raw = raw_coefficients(1.0)
    x = tf.constant([[-3.0], [3.0], [0.0], [1e30], [-1e30], [0.75], [np.nextafter(3.0, 0.0)]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([x, raw])
        for transform in (coupling.transform, coupling.transform_inverse):
            entries, log_derivative = transform(x, raw)
            assert np.all(np.isfinite(entries))
        total = tf.reduce_sum(log_derivative)
    assert all(np.all(np.isfinite(gradient)) for gradient in tape.gradient(total, [x, raw]))
