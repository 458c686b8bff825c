"""Observed data of several lengths, and simulations that are compared with the first of them."""

from __future__ import annotations

import numpy as np

from cinnflow.inference.lengths import cut_alike, ended_alike, length_of_first, nan_behind

OBSERVED = {
    "x": np.ones((2, 4, 3)),
    "n": np.array([2.0, 4.0]),
    "mask": np.array([[True, True, False, False], [True, True, True, True]]),
}


def test_the_first_data_set_ends_where_its_mask_does_or_where_all_do():
    assert length_of_first(OBSERVED, ["x"]) == 2
    assert length_of_first({"x": OBSERVED["x"]}, ["x"]) == 4
    assert length_of_first(OBSERVED, []) is None


def test_nan_stands_behind_the_end_of_a_copy():
    shown = nan_behind(OBSERVED, ["x"])
    np.testing.assert_array_equal(np.isnan(shown["x"]).all(axis=2), ~OBSERVED["mask"])
    assert np.isfinite(OBSERVED["x"]).all() and shown["n"] is OBSERVED["n"]


def test_simulations_end_where_the_data_set_does():
    first = {name: array[0] for name, array in nan_behind(OBSERVED, ["x"]).items()}
    simulated = {"x": np.arange(60.0).reshape(5, 4, 3), "n": np.full(5, 4.0)}
    cut, seen = cut_alike(simulated, first, ["x"])
    assert cut["x"].shape == (5, 2, 3) and seen["x"].shape == (2, 3) and cut["n"] is simulated["n"]
    ended = ended_alike(simulated, first, ["x"])
    np.testing.assert_array_equal(ended["x"][:, :2], cut["x"])
    assert np.isnan(ended["x"][:, 2:]).all() and np.isfinite(simulated["x"]).all()
