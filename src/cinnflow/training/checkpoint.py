"""A training's state on disk, from which it goes on after it was killed."""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import logging
import os
import textwrap
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import keras
import numpy as np

import cinnflow

log = logging.getLogger(__name__)

_KEY, _START = "key", "start"
_DIGEST_SIZE = hashlib.sha256().digest_size
_COST = 0.05
"""Share of the time that writing checkpoints may take."""


@cache
def code_digest() -> str:
    """Digest of the code that a training depends on: a checkpoint is no other code's."""
    package = Path(cinnflow.__file__).parent
    folders = ("simulation", "store", "networks", "inference", "training")
    files = [package / "mmd_kernel.py", *(path for folder in folders for path in package.glob(f"{folder}/*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def own_code_digest(layers: Iterable[keras.Layer]) -> str:
    """Digest of the classes among these layers that come neither from Keras nor from here, as parsed."""
    classes = {kind for layer in layers for kind in type(layer).__mro__}
    own = [kind for kind in classes if kind.__module__.partition(".")[0] not in ("keras", "cinnflow", "tensorflow")]
    sources = []
    for kind in sorted(own, key=lambda kind: (kind.__module__, kind.__qualname__)):
        try:
            sources.append(ast.dump(ast.parse(textwrap.dedent(inspect.getsource(kind)))))
        except (OSError, TypeError, SyntaxError):  # typed into an interpreter, or built in
            sources.append(kind.__qualname__)
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()


class Checkpoint:
    """One file, replaced whole, that belongs to one training alone; it begins with the digest of the rest.

    Args:
        path: the file.
        key: what tells this training from any other; a file with another key is not taken up.
        start: digest of what training starts from, which tells it from others too.
    """

    def __init__(self, path: Path, key: str, start: str = "") -> None:
        self.path = path
        self.key = hashlib.sha256(key.encode()).hexdigest()
        self.start = start
        self._next = 0.0

    def read(self) -> dict[str, np.ndarray]:
        """What was written last; empty where there is nothing of this training."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        digest, state = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
        if hashlib.sha256(state).digest() != digest:
            log.warning("the checkpoint %s is damaged: training starts anew", self.path)
            return {}
        with np.load(io.BytesIO(state), allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        key, start = str(found.pop(_KEY)), str(found.pop(_START))
        if key != self.key:
            log.warning(
                "the checkpoint %s is of another training: this one starts anew, and takes its place. Several that are "
                "to be gone on with take a folder each",
                self.path,
            )
            return {}
        if start != self.start:
            log.warning(
                "the checkpoint %s is of a training that began with other weights: this one starts anew. Layers of "
                "your own draw other ones each time, without a seed: keras.utils.set_random_seed(1) before they are "
                "made gives them one",
                self.path,
            )
            return {}
        return found

    @property
    def due(self) -> bool:
        """Whether it is time for another one: so seldom that they cost little."""
        return time.monotonic() >= self._next

    def write(self, state: Mapping[str, np.ndarray]) -> None:
        """Puts a state in the place of the one before."""
        start = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.draft")
        content = io.BytesIO()
        np.savez(content, **{_KEY: np.array(self.key), _START: np.array(self.start)}, **state)
        with draft.open("wb") as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        end = time.monotonic()
        self._next = end + (end - start) / _COST
