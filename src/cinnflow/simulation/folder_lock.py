"""One process at a time where several write."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps others that ask for it out of a folder while the block runs; the kernel ends that with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone_with(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keeps others that ask for it away from a file while the block runs, which may replace the file.

    Unlike a folder's, a file's lock holds on every host that shares the file system.

    Args:
        path: the file.
        waiting: called before a wait.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Who had the lock before may have replaced the file that is open here.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                yield
                return
        finally:
            os.close(descriptor)
