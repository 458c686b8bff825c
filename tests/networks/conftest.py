"""The laws of networks hold in full single precision, on a GPU too."""

from __future__ import annotations

import pytest

from cinnflow.networks.arithmetic import use_repeatable_arithmetic


@pytest.fixture(scope="session", autouse=True)
def full_precision():
    use_repeatable_arithmetic()
