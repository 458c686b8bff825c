"""How far the filling of a store has come."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinnflow.simulation.outcome import Status
from cinnflow.store.chunks import decode
from cinnflow.store.journal import is_running, read_journal
from cinnflow.store.layout import STATUS, UNKNOWN_STATUS, Batch, Store

LATELY = 600.0
"""Seconds over which the pace of a running study is taken."""


def progress_line(batch: Batch, batches: int) -> str:
    """One line for a batch that was just committed: its split, how much of it is done, rate and time left.

    Args:
        batch: the batch.
        batches: how many the study wants of its split.
    """
    # Every job of a store looks at all of its records: one pass over the folder.
    with os.scandir(batch.store.path / batch.split / "status/c") as records:
        times = sorted(
            record.stat().st_mtime for record in records if record.name.isdigit() and int(record.name) < batches
        )
    line = f"{batch.split}: {len(times) * batch.size} of {batches * batch.size} simulations"
    # The pace of the last batches, not of those from a run long ago.
    recent = times[-8:]
    if len(recent) < 3 or recent[-1] <= recent[0] or len(times) == batches:
        return line
    rate = (len(recent) - 1) * batch.size / (recent[-1] - recent[0])
    left = (batches - len(times)) * batch.size / rate
    return f"{line}, {rate:.3g} a second, {rough_duration(left)} left"


def rough_duration(seconds: float) -> str:
    """An estimate in seconds, as a person says it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def time_of_files(folder: Path) -> float:
    """The time by the clock that stamps a folder's files, in seconds since the epoch.

    On a file system that hosts share, it is not always that of the host that asks.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # not there yet, or not ours to write to
        return time.time()


@dataclass(frozen=True)
class SplitProgress:
    """How far one split has come.

    Args:
        split: its name.
        batches: batches that the study wants.
        committed: how many of these are in the store.
        running: how many a process works on.
        wanted: simulations that the study wants.
        ended: simulations by how they ended, the journalled ones of unfinished batches included.
        rate: simulations a second of late, None where nothing has happened lately.
    """

    split: str
    batches: int
    committed: int
    running: int
    wanted: int
    ended: dict[str, int]
    rate: float | None

    @property
    def done(self) -> int:
        """Simulations that have ended."""
        return sum(self.ended.values())

    @property
    def seconds_left(self) -> float | None:
        """Time until the split is complete at the present rate."""
        return (self.wanted - self.done) / self.rate if self.rate else None


def split_progress(store: Store, split: str, batches: int, batch_size: int, now: float) -> SplitProgress:
    """Reads from commit records and journals how far a split has come; both are there for every host to read.

    Args:
        store: the store.
        split: which split.
        batches: batches that the study wants.
        batch_size: simulations in each.
        now: the time by the clock of the store's files, in seconds since the epoch.
    """
    ended: Counter[Status] = Counter()
    moments: list[tuple[float, int]] = []
    committed = running = nothing = 0
    for number in range(batches):
        # The journal first: a batch that is committed meanwhile has its record by the time that its journal goes.
        journal = Batch(store, split, number, batch_size).journal
        journalled = {entry.index: entry.outcome.status for entry in read_journal(journal)}
        record = store.chunk(split, STATUS, number)
        try:
            codes, moment = decode(STATUS, record.read_bytes(), batch_size), record.stat().st_mtime
        except FileNotFoundError:
            running += is_running(journal)
            ended.update(journalled.values())
            if journalled:
                with contextlib.suppress(FileNotFoundError):
                    moments.append((journal.stat().st_mtime, len(journalled)))
        else:
            committed += 1
            ended.update(Status(int(code)) for code in codes if code != UNKNOWN_STATUS)
            nothing += int(np.count_nonzero(codes == UNKNOWN_STATUS))
            moments.append((moment, batch_size))
    recent = [(moment, count) for moment, count in moments if now - moment < LATELY]
    span = now - min((moment for moment, _ in recent), default=now)
    # The first batch of the span ended when the span began, so it tells nothing of the pace.
    finished = sum(count for _, count in sorted(recent)[1:])
    return SplitProgress(
        split,
        batches,
        committed,
        running,
        batches * batch_size - nothing,
        {status.label: count for status, count in sorted(ended.items())},
        finished / span if finished and span > 0 else None,
    )
