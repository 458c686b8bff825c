"""The maximum mean discrepancy tells samples apart, and not those that are alike."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from cinnflow.inference.mmd import squared_mmd


def normal(count, mean=0.0, sd=1.0, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(mean, sd, (count, 3)))


def test_it_is_zero_between_a_sample_and_itself_and_grows_with_distance():
    x = normal(200)
    assert abs(float(squared_mmd(x, x))) < 1e-12
    near, far = (float(squared_mmd(x, normal(200, mean, seed=1))) for mean in (0.5, 2.0))
    assert 0 < near < far


def test_it_falls_with_sample_size_where_distributions_agree():
    small, large = (float(squared_mmd(normal(count, seed=1), normal(count, seed=2))) for count in (50, 1000))
    assert large < small / 5


def test_it_tells_another_variance():
    x = normal(500)
    assert float(squared_mmd(x, normal(500, sd=2.0, seed=1))) > 5 * float(squared_mmd(x, normal(500, seed=1)))
