"""Working folders: what ordinary users' programs leave there is removed, and what cannot be is out of the way."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from cinnflow.simulation.working_folder import make_folder, remove_folder

NOBODY = 65534


def as_ordinary_user(function) -> int:
    """Runs a function of a folder in a process without root's powers; returns its exit code."""
    folder = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        pid = os.fork()
        if pid == 0:
            try:
                if os.geteuid() == 0:
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                function(folder)
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        shutil.rmtree(folder)


def test_read_only_folders_are_removed_and_what_they_link_to_is_not():
    def check(folder):
        kept = folder / "kept"
        kept.mkdir(mode=0o500)
        inner = folder / "work" / "cache" / "v1"
        inner.mkdir(parents=True)
        (inner / "file").touch(0o400)
        (inner / "link").symlink_to(kept)
        for read_only in (inner, inner.parent):
            read_only.chmod(0o500)
        shutil.rmtree(folder / "work", ignore_errors=True)
        assert inner.exists(), "the law that is tested"
        remove_folder(folder / "work")
        assert not (folder / "work").exists()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o500

    assert as_ordinary_user(check) == 0


def test_another_folder_is_made_where_one_cannot_be_removed(tmp_path, monkeypatch):
    (tmp_path / "simulation-3").mkdir()
    (tmp_path / "simulation-3" / "left").touch()
    monkeypatch.setattr("cinnflow.simulation.working_folder.remove_folder", lambda _: None)
    made = make_folder(tmp_path / "simulation-3")
    assert made.name.startswith("simulation-3-")
    assert list(made.iterdir()) == []


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_is_made_empty(tmp_path, there):
    if there:
        (tmp_path / "simulation-3" / "left").mkdir(parents=True)
    assert make_folder(tmp_path / "simulation-3") == tmp_path / "simulation-3"
    assert list((tmp_path / "simulation-3").iterdir()) == []
