"""The files that simulations depend on, a program among them: they must stay as they are while simulations run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.store.fingerprint import FILE
from cinnflow.store.layout import StoreError

_SETTLED = 3600.0
"""Seconds without a change after which a file is as it was when the fingerprint was taken, shortly before."""


class DeclaredFiles:
    """Watches the files whose bytes are part of what a model's simulations mean.

    Args:
        model: a bound generative model; of one that is not bound, nothing is known of where its files are.
        fingerprint: digest of each part of what a simulation means.
    """

    def __init__(self, model: GenerativeModel, fingerprint: Mapping[str, str]) -> None:
        parts = {} if model.folder is None else fingerprint
        files = {part.removeprefix(FILE): digest for part, digest in parts.items() if part.startswith(FILE)}
        self._digests = {model.folder / name: digest for name, digest in files.items()}
        self._states: dict[Path, tuple[int, ...]] = {}
        for path in self._digests:
            stat = path.stat()
            if time.time() - stat.st_ctime > _SETTLED:  # to digest it once more would take long where it is large
                self._states[path] = _state(path)
        self.check()

    def check(self) -> None:
        """Reads those files again that may have changed since the last time.

        Raises:
            StoreError: when one of them has.
        """
        for path, digest in self._digests.items():
            try:
                state = _state(path)
                if state == self._states.get(path):
                    continue
                same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
            except FileNotFoundError:
                same = False
            if not same:
                raise StoreError(
                    f"{path} was edited while simulations that depend on it ran: those that were running are left out. "
                    "Start snakemake again; what was finished before is kept"
                )
            self._states[path] = state


def _state(path: Path) -> tuple[int, ...]:
    """What differs after a file was written to, or another one was put in its place."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
