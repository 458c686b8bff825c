"""Folders that simulations work in: each has its own, and none stays behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def make_folder(path: Path) -> Path:
    """An empty folder at this path, or beside it where what stands there cannot be removed, as another user's files."""
    remove_folder(path)
    try:
        path.mkdir()
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=path.parent))
    return path


def remove_folder(path: Path) -> None:
    """Removes a folder with all that programs have left in it, read-only folders too; what cannot be removed stays."""
    shutil.rmtree(path, ignore_errors=True)
    if not path.is_dir():
        return
    for folder, folders, _ in os.walk(path):
        for inner in (Path(folder) / name for name in folders):
            if not inner.is_symlink():
                _make_writable(inner)
    shutil.rmtree(path, ignore_errors=True)


def _make_writable(folder: Path) -> None:
    try:
        folder.chmod(0o700)
    except OSError:  # another user's
        return
