"""No process outlives the batch that started it, even when the batch is killed."""

from __future__ import annotations

import os
import select
import signal
import socket
from typing import NoReturn

from cinnflow.simulation.sessions import end_sessions

LATE = 1.0
"""Seconds after the batch's end in which a group that was just being started may still make itself known."""


class Reaper:
    """A child process that ends the process groups of a batch's simulations once the batch itself is gone.

    SIGKILL leaves a process no time to end its children. So the batch and its workers tell a small child, in a session
    of its own, which groups have started and which have ended. That child holds the far end of a connection that the
    batch alone keeps open: when it breaks, the batch is gone, and the child kills what is left. Each group makes itself
    known before it does anything else, so that there is no moment at which one could be missed.

    Must be started before the first thread, since it forks.

    Raises:
        ChildProcessError: when the child has ended before it was ready.
    """

    def __init__(self) -> None:
        notes_read, self._notes = os.pipe()
        self._life, far_life = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._notes)
            self._life.close()
            _reap(notes_read, far_life.detach())
        os.close(notes_read)
        far_life.close()
        # Until the child is in its own session, what kills the batch's process group kills the child with it.
        if not self._life.recv(1):
            raise ChildProcessError("the process that ends simulations was itself ended as it started")

    def watch(self) -> None:
        """From now on, the group that this process leads is killed should the batch die.

        Raises:
            BrokenPipeError: when the batch is dead already.
        """
        os.write(self._notes, f"+{os.getpid()}\n".encode())

    def forget(self, group: int) -> None:
        """The group has ended; its number may come to belong to somebody else."""
        os.write(self._notes, f"-{group}\n".encode())

    def release(self) -> None:
        """In a worker, just forked: the batch alone keeps the connection open whose end the reaper waits for."""
        self._life.close()

    def close(self) -> None:
        """Ends the reaper; what it still watches is killed."""
        self._life.close()
        os.close(self._notes)
        os.waitpid(self._pid, 0)


def _reap(notes: int, life: int) -> NoReturn:
    """The reaper's whole life: keep count until the batch is gone, then kill what is left and what still comes."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.write(life, b"\n")
        # Whatever else the batch has open is not the reaper's to hold: streams that somebody reads to their end, and
        # the lock on the journal.
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        ends = sorted((notes, life))
        for first, last in ((3, ends[0]), (ends[0] + 1, ends[1]), (ends[1] + 1, os.sysconf("SC_OPEN_MAX"))):
            os.closerange(first, last)
        groups: set[int] = set()
        rest = b""
        gone = ended = False
        while not ended:
            ready, _, _ = select.select([notes] if gone else [notes, life], [], [], LATE if gone else None)
            if notes in ready:
                note = os.read(notes, 65536)
                *lines, rest = (rest + note).split(b"\n")
                for line in lines:
                    group = int(line[1:])
                    groups.add(group) if line[:1] == b"+" else groups.discard(group)
                ended = not note  # the batch, and whoever else could start anything
            ended |= not ready
            gone |= ended or life in ready
            if gone:
                end_sessions(groups)
                groups.clear()
    finally:
        os._exit(0)
