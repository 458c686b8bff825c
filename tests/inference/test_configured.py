"""What is told from raw data by its names."""

from __future__ import annotations

import numpy as np

from cinnflow.inference.configured import is_configured


def test_configured_data_are_told_by_their_names():
    assert is_configured({"summary_conditions": np.zeros((2, 3, 1))})
    assert not is_configured({"summary_conditions": np.zeros((2, 3, 1)), "x": np.zeros(2)})
    assert not is_configured(np.zeros(3))
