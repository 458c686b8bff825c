"""Standardization: mean 0, standard deviation 1, and nothing divided by zero."""

from __future__ import annotations

import numpy as np

from cinnflow.inference.standardization import Standardization


def adapted(x, present=None):
    layer = Standardization(x.shape[-1])
    layer.build()
    layer.adapt(x, present)
    return layer


def test_channels_have_mean_zero_and_standard_deviation_one():
    x = np.random.default_rng(0).normal([1e9, -3.0], [1.0, 1e-6], size=(20, 50, 2))
    z = adapted(x)(x).numpy()
    np.testing.assert_allclose(z.mean(axis=(0, 1)), 0.0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=(0, 1)), 1.0, atol=1e-6)


def test_inverse_undoes_it():
    x = np.random.default_rng(0).normal(5.0, 1e-3, size=(30, 2))
    layer = adapted(x)
    np.testing.assert_allclose(layer.inverse(layer(x)), x, rtol=1e-14)
    np.testing.assert_allclose(layer.log_det(), -np.log(x.std(axis=0)).sum())


def test_a_constant_channel_keeps_its_scale():
    x = np.full((30, 2), 0.1)
    layer = adapted(x)
    np.testing.assert_allclose(layer(x), 0.0, atol=1e-12)
    np.testing.assert_allclose(layer(x + 1.0), 1.0)


def test_elements_that_are_not_there_do_not_count():
    x = np.random.default_rng(0).normal(size=(20, 5, 1))
    present = np.arange(5) < np.array([3] * 10 + [5] * 10)[:, None]
    filled = np.where(present[..., None], x, 1e6)
    np.testing.assert_allclose(adapted(filled, present).mean, x[present].mean(axis=0))
