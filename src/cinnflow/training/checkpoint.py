"""A training's state on disk, from which it goes on after it was killed."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

import cinnflow

log = logging.getLogger(__name__)

_KEY = "key"
_COST = 0.05
"""Share of the time that writing checkpoints may take."""


@cache
def code_digest() -> str:
    """Digest of the code that a training depends on: a checkpoint is no other code's."""
    package = Path(cinnflow.__file__).parent
    files = [
        path
        for folder in ("simulation", "store", "networks", "inference", "training")
        for path in package.glob(f"{folder}/*.py")
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


class Checkpoint:
    """One file, replaced whole, that belongs to one training alone.

    Args:
        path: the file.
        key: what tells this training from any other; a file with another key is not taken up.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = hashlib.sha256(key.encode()).hexdigest()
        self._next = 0.0

    def read(self) -> dict[str, np.ndarray]:
        """What was written last; empty where there is nothing of this training."""
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                state = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            log.warning("the checkpoint %s is damaged (%s): training starts anew", self.path, error)
            return {}
        if str(state.pop(_KEY, "")) != self.key:
            log.info("the checkpoint %s is of another training: this one starts anew", self.path)
            return {}
        return state

    @property
    def due(self) -> bool:
        """Whether it is time for another one: so seldom that they cost little."""
        return time.monotonic() >= self._next

    def write(self, state: Mapping[str, np.ndarray]) -> None:
        """Puts a state in the place of the one before."""
        start = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.draft")
        with draft.open("wb") as file:
            np.savez(file, **{_KEY: np.array(self.key)}, **state)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        end = time.monotonic()
        self._next = end + (end - start) / _COST
