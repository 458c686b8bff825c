"""Permutations mix, and rotations stay rotations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from network_laws import randomize

from cinnflow.networks.permutation import FixedPermutation, LearnablePermutation


@pytest.mark.parametrize("num_params", [2, 3, 4, 7])
def test_a_fixed_permutation_always_moves_something_to_the_other_half(num_params):
    for seed in range(50):
        permutation = FixedPermutation(num_params, seed=seed)
        first = num_params // 2
        assert sorted(permutation.order) == list(range(num_params))
        assert set(permutation.order[:first]) != set(range(first))


@pytest.mark.parametrize("num_params", [1, 2, 5, 50])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_learned_matrix_is_orthogonal_whatever_its_weights(num_params, scale):
    layer = LearnablePermutation(num_params, dtype="float64")
    layer.build((None, num_params))
    randomize(layer, scale=scale)
    q = layer.matrix().numpy()
    np.testing.assert_allclose(q @ q.T, np.eye(num_params), atol=1e-10)


def test_a_learned_matrix_is_the_product_of_its_reflections():
    layer = LearnablePermutation(5, dtype="float64")
    layer.build((None, 5))
    product = np.eye(5)
    for w in np.asarray(layer.reflections).T:
        product = product @ (np.eye(5) - 2.0 * np.outer(w, w) / (w @ w))
    np.testing.assert_allclose(layer.matrix(), product, atol=1e-12)


def test_sets_of_vectors_have_no_log_determinant_either():
    layer = LearnablePermutation(3)
    _, log_det = layer(tf.ones((2, 4, 3)))
    np.testing.assert_array_equal(log_det, np.zeros((2, 4)))
