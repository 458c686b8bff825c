"""Ends what a program has started and left, in whatever session: what loses its parent becomes this process's child."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
"""Of Linux's prctl: orphans below this process come to it, and not to the first process of the system."""
_LOOKS, _PAUSE = 50, 0.01
"""How often, and how many seconds apart, to look for children that have not ended yet."""


def adopt_orphans() -> None:
    """From now on, what descends from this process becomes its child once its parent has ended, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """Process ids of this process's children, dead ones that nobody has waited for among them, where Linux tells."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            found |= set(map(int, path.read_text().split()))
    return found


def end_children(spared: Collection[int]) -> None:
    """Kills this process's children, and in turn what they leave to it, and waits for them.

    Args:
        spared: process ids of children that are not to be killed.
    """
    for look in range(_LOOKS):
        left = children().difference(spared)
        if not left:
            return
        if look:
            time.sleep(_PAUSE)
        for child in left:
            with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, os.WNOHANG)
