"""How data reach the networks: laws of the input scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cinnflow.inference.input_scale import InputScale


def adapted(x, present=None):
    scale = InputScale(x.shape[-1])
    scale.build()
    scale.adapt(x, present)
    return scale


def test_every_channel_comes_out_standardized():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(5, 3, 4000), np.exp(rng.normal(0, 3, 4000))], axis=-1)
    z = adapted(x)(x).numpy()
    assert z.shape == (4000, 4)
    np.testing.assert_allclose(z[:, [0, 1, 3]].mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(z[:, [0, 1, 3]].std(0), 1, atol=1e-9)


def test_the_second_channel_is_there_for_heavy_tails_alone():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=4000), rng.exponential(size=4000), np.exp(rng.normal(0, 3, 4000))], axis=-1)
    z = adapted(x)(x).numpy()
    assert not z[:, 3].any()
    assert not z[:, 4].any()
    assert z[:, 5].std() == pytest.approx(1)


def test_small_values_of_a_heavy_tail_are_told_apart():
    x = np.exp(np.random.default_rng(0).normal(0, 3, (4000, 1)))
    linear, logarithmic = adapted(x)(np.array([[0.5], [1.0]])).numpy().T
    assert abs(np.diff(linear)) < 0.01
    assert abs(np.diff(logarithmic)) > 0.1


def test_what_is_not_present_does_not_count():
    x = np.concatenate([np.random.default_rng(0).normal(size=(50, 1)), np.full((50, 1), 1e9)])
    present = np.arange(100) < 50
    np.testing.assert_array_equal(adapted(x, present)(x[:50]), adapted(x[:50])(x[:50]))


def test_data_without_any_element_are_refused():
    for x, present in ((np.zeros((8, 0, 2)), None), (np.zeros((8, 3, 2)), np.zeros((8, 3), bool))):
        with pytest.raises(ValueError, match=r"none of the data sets .* has any element"):
            adapted(x, present)


@pytest.mark.parametrize("extreme", [1e2, 1e4, 1e8, 1e30])
@pytest.mark.parametrize("share", [0.001, 0.005, 0.02, 0.2])
def test_extreme_numbers_do_not_hide_the_others(extreme, share):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1))
    x[rng.random(4000) < share] = extreme
    usual = x[:, 0] < 10
    assert max(adapted(x)(x[usual]).numpy().std(axis=0)) > 0.02


@given(arrays(np.float64, (20, 2), elements=st.floats(-1e100, 1e100)))
def test_whatever_finite_comes_in_finite_goes_out(x):
    assert np.isfinite(adapted(x)(x).numpy()).all()


@pytest.mark.parametrize(
    ("offset", "side"), [(0.0, 1), (0.0, -1), (100.0, 1), (-100.0, -1), (1e6, 1), (1e6, -1), (-1e6, 1), (-1e6, -1)]
)
def test_an_offset_does_not_hide_a_heavy_tail(offset, side):
    values = np.exp(np.random.default_rng(0).normal(0, 3, (4000, 1)))
    seen = adapted(offset + side * values)(offset + side * np.quantile(values, [[0.1], [0.5], [0.9]]))
    logarithmic = seen.numpy()[:, 1]
    assert abs(logarithmic[2] - logarithmic[0]) > 1.5
    assert abs(logarithmic[1] - logarithmic[0]) > 0.2
