"""What is told from raw data by its names."""

from __future__ import annotations

import numpy as np

from cinnflow.inference.configured import checked, is_configured


def test_configured_data_are_told_by_their_names():
    assert is_configured({"summary_conditions": np.zeros((2, 3, 1))})
    assert not is_configured({"summary_conditions": np.zeros((2, 3, 1)), "x": np.zeros(2)})
    assert not is_configured(np.zeros(3))


def test_what_is_none_is_not_there():
    simulations = {"parameters": np.zeros((2, 1)), "summary_conditions": np.zeros((2, 3, 1))}
    assert checked({**simulations, "direct_conditions": None}, 1).keys() == simulations.keys()
