"""One run at a time for each study: a lock that the kernel lets go of when its holder ends, however that ends."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path


class Locked(RuntimeError):
    """The study's lock cannot be had; the message says why."""


class Lock:
    """The lock on a study's results.

    Args:
        folder: the study's results.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock, and keeps it until this process ends.

        Raises:
            Locked: when another process has it, and the message names that process; or where there are no locks, or
                nothing can be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise Locked(
                f"{self._path} cannot be written ({error.strerror}): let `results` be a folder that you may write to"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 4096).decode(errors="replace").strip()
            os.close(descriptor)
            raise Locked(
                f"another run works on {self._path.parent}: {holder or 'it has just started'}. "
                "Wait until it has ended, or end it; nothing here was touched"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise Locked(
                f"{self._path} cannot be locked ({error.strerror}): let `results` lie on a file system that takes locks"
            ) from error
        about = {
            "process": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.write(descriptor, (json.dumps(about) + "\n").encode())
        self._file = descriptor
