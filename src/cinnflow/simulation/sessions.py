"""Ends all that a simulation has started: each runs in a session of its own, which hardly any process leaves."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

_LOOKS, _PAUSE = 20, 0.01
"""How often, and how many seconds apart, to look for processes that others have started while they were killed."""
_DEAD = "ZX"


def end_sessions(leaders: Collection[int]) -> None:
    """Kills the processes of the sessions that these lead, those in other process groups than the leader's too.

    Shells with job control, `timeout` and the launchers of parallel programs make such groups.

    Args:
        leaders: process ids, which are those of the sessions and of their first process groups.
    """
    for leader in leaders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
    for look in range(_LOOKS if leaders else 0):
        members = _members(leaders)
        if not members:
            return
        if look:
            time.sleep(_PAUSE)
        for process in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def _members(leaders: Collection[int]) -> list[int]:
    """Living processes of these sessions, where the system tells: Linux does."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile
            # pid (name) state parent group session ...; the name may hold anything.
            state, _, _, session, *_ = path.read_text(errors="replace").rpartition(")")[2].split()
            if int(session) in leaders and state not in _DEAD:
                found.append(int(path.parent.name))
    return found
