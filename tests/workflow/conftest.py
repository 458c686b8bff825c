"""One small study that has run to its end; each test works on a copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies import Workflow


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The study before anything has run: one state of the project for all tests."""
    return Workflow.create(tmp_path_factory.mktemp("project") / "study")


@pytest.fixture(scope="session")
def finished(project: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The study, run once. Its folder's name holds what a shell would take apart."""
    workflow = project.copy(tmp_path_factory.mktemp("finished") / "it's $HOME")
    workflow.succeed()
    return workflow


@pytest.fixture
def study(finished: Workflow, tmp_path: Path) -> Workflow:
    """A finished study, in another folder than the one where it ran."""
    return finished.copy(tmp_path / "copy")


@pytest.fixture
def fresh(project: Workflow, tmp_path: Path) -> Workflow:
    """A study of which nothing has run."""
    return project.copy(tmp_path / "fresh")
