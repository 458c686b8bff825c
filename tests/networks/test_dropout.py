"""Dropout: the share that is left out, by a hash in which neither units nor calls nor seeds go together."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cinnflow.networks.dropout import Dropout, pcg3d

RATE, CALLS, ROWS, UNITS = 0.05, 400, 64, 128


def left_out(seed: int, rate: float = RATE, calls: int = CALLS) -> np.ndarray:
    """What each call leaves out (calls, rows, units)."""
    layer = Dropout(rate, seed=seed)

    @tf.function(jit_compile=True)
    def called() -> tf.Tensor:
        return layer(tf.ones((ROWS, UNITS)), training=True)

    return np.stack([called().numpy() == 0 for _ in range(calls)])


@pytest.fixture(scope="module")
def standardized() -> np.ndarray:
    """The same, with mean 0 and variance 1 where each unit is left out by itself."""
    return (left_out(3) - RATE) / np.sqrt(RATE * (1 - RATE))


def assert_unrelated(a: np.ndarray, b: np.ndarray) -> None:
    assert abs(np.mean(a * b)) < 4.5 / np.sqrt(a.size)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_the_share_is_left_out_and_the_others_make_up_for_it(rate):
    x = np.random.default_rng(0).normal(size=(500, 200)).astype(np.float32)
    y = Dropout(rate, seed=1)(x, training=True).numpy()
    kept = y != 0
    assert abs(np.mean(~kept) - rate) < 4.5 * np.sqrt(rate * (1 - rate) / x.size)
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)


def test_every_unit_and_every_call_is_treated_alike(standardized):
    for axes in ((1, 2), (0,), (0, 1), (0, 2)):
        means = standardized.mean(axes) * np.sqrt(np.prod([standardized.shape[axis] for axis in axes]))
        assert np.abs(means).max() < 5.5
        # Neither more nor less alike than chance makes them.
        assert abs(np.mean(means**2) - 1) < 5 * np.sqrt(2 / means.size)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("lag", [1, 2, 8, 32])
def test_neighbours_have_nothing_to_do_with_each_other(standardized, axis, lag):
    first, second = (np.delete(standardized, end, axis) for end in (slice(-lag, None), slice(0, lag)))
    assert_unrelated(first, second)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_another_seed_leaves_out_others(standardized, seed):
    assert_unrelated(standardized, (left_out(seed) - RATE) / np.sqrt(RATE * (1 - RATE)))


def test_the_same_seed_leaves_out_the_same_compiled_or_not():
    layer = Dropout(RATE, seed=3)
    plain = np.stack([layer(np.ones((ROWS, UNITS)), training=True).numpy() == 0 for _ in range(3)])
    np.testing.assert_array_equal(plain, left_out(3, calls=3))


def test_it_goes_on_where_its_state_says():
    first, second = Dropout(0.5, seed=1), Dropout(0.5, seed=2)
    first(np.ones((4, 8)), training=True)
    second.seed_generator.state.assign(first.seed_generator.state)
    np.testing.assert_array_equal(*(layer(np.ones((4, 8)), training=True).numpy() for layer in (first, second)))


def test_nothing_is_left_out_but_in_training():
    x = np.ones((4, 8), np.float32)
    np.testing.assert_array_equal(Dropout(0.5, seed=1)(x), x)
    np.testing.assert_array_equal(Dropout(0.0, seed=1)(x, training=True), x)


def test_gradients_pass_where_units_stay():
    layer, x = Dropout(0.5, seed=1), tf.ones((4, 8))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())


def test_the_hash_is_that_of_the_paper():
    x, y, z = np.random.default_rng(0).integers(0, 2**32, (3, 1000), dtype=np.uint32)
    a, b, c = (np.uint32(1664525) * each + np.uint32(1013904223) for each in (x, y, z))
    a += b * c
    b += c * a
    c += a * b
    a, b, c = (each ^ (each >> np.uint32(16)) for each in (a, b, c))
    np.testing.assert_array_equal(pcg3d(*map(tf.constant, (x, y, z))).numpy(), a + b * c)


def test_any_precision_and_shape():
    for dtype in ("float64", "bfloat16"):
        y = Dropout(0.5, seed=1, dtype=dtype)(keras.ops.ones((3, 5, 7), dtype), training=True)
        assert y.dtype == dtype
        assert y.shape == (3, 5, 7)
        assert set(np.unique(keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")))) == {0.0, 2.0}
