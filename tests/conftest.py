"""For all tests: ArviZ is imported, Hypothesis waits for however busy a machine, and an order that is quick.

The test processes import ArviZ at the same moment, and its own import fails some of them.
"""

import pytest
from hypothesis import settings

from cinnflow.diagnostics.arviz_import import import_arviz

import_arviz()
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

WITH_TENSORFLOW = ("steps", "training", "inference", "networks")
"""Folders of tests that load TensorFlow and compile programs: each process started after that takes longer to fork."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts tests of simulations, which start many processes, before those with TensorFlow."""
    items.sort(key=lambda item: item.path.parent.name in WITH_TENSORFLOW)
