"""One small study that has run to its end; each test works on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from studies import Workflow

from cinnflow.simulation.folder_lock import alone_in


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The study before anything has run: one state of the project for all tests."""
    return Workflow.create(tmp_path_factory.mktemp("project") / "study")


@pytest.fixture(scope="session")
def finished(project: Workflow, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Workflow:
    """The study, run once for all test processes. Its folder's name holds what a shell would take apart."""
    root = tmp_path_factory.getbasetemp()
    shared = (root if worker_id == "master" else root.parent) / "finished"
    shared.mkdir(exist_ok=True)
    with alone_in(shared):
        if not (shared / "done").exists():
            shutil.rmtree(shared / "it's $HOME", ignore_errors=True)
            project.copy(shared / "it's $HOME").succeed()
            (shared / "done").touch()
    return Workflow(shared / "it's $HOME")


@pytest.fixture
def study(finished: Workflow, tmp_path: Path) -> Workflow:
    """A finished study, in another folder than the one where it ran."""
    return finished.copy(tmp_path / "copy")


@pytest.fixture
def fresh(project: Workflow, tmp_path: Path) -> Workflow:
    """A study of which nothing has run."""
    return project.copy(tmp_path / "fresh")
