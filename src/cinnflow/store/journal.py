"""The journal of a running batch: every finished simulation is on it before the next starts.

One file a batch, beside the store. A record is a header (length and CRC-32 of what follows) and a body (a line of
JSON, then the arrays' bytes). Writing is a single append, so only the last record can ever be torn, and a torn one is
recognised and cut off. The lock on the file tells whether the batch runs; the kernel lets go of it when the process
ends, however that ends, so a stale lock does not exist.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.store.layout import StoreError

_HEADER = struct.Struct("<II")
_SYNC_EVERY = 1.0
"""Seconds between two syncs to disk: a kill loses nothing, a power failure at most this."""
_TRIES = 1000
"""Times that a journal's folder may be taken away from under it."""


@dataclass(frozen=True)
class Entry:
    """A journalled simulation.

    Args:
        index: which of the split.
        seed: its seed.
        theta: its parameters (parameters,).
        outcome: what became of it.
        context: what else it depended on, by name.
    """

    index: int
    seed: int
    theta: np.ndarray
    outcome: Outcome
    context: dict[str, np.ndarray] = field(default_factory=dict)


class Journal:
    """The open, locked journal of one batch; made by `open_journal`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._file = descriptor
        self._synced = time.monotonic()
        self.entries, valid = _scan(path.read_bytes())
        os.ftruncate(descriptor, valid)

    def append(self, entry: Entry) -> None:
        """Adds a finished simulation.

        Raises:
            OSError: when the disk is full; what was journalled before stays.
        """
        record = _encode(entry)
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            while record:
                record = record[os.write(self._file, record) :]
        except OSError as error:
            os.ftruncate(self._file, end)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        # One that took longer than a sync is worth its own: two that end together may be the last for hours.
        if max(time.monotonic() - self._synced, entry.outcome.seconds) > _SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Puts all that is journalled to disk, where a power failure does not take it."""
        os.fdatasync(self._file)
        self._synced = time.monotonic()

    def remove(self) -> None:
        """Deletes the journal: its batch is committed."""
        self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def open_journal(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[Journal]:
    """Opens a batch's journal for this process alone, and waits for another process that has it.

    Args:
        path: the journal; it and its folder are made where they are missing.
        waiting: called once before a wait.

    Raises:
        StoreError: when the file system takes no locks.
        OSError: when the journal cannot be made.
    """
    for tries in itertools.count():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except (FileNotFoundError, FileExistsError):  # a process that has just committed took the folder away
            if tries == _TRIES:  # no: one of the folders is a file, or a link to what is not there
                raise
            continue
        try:
            if not _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, path):
                waiting()
                _lock(descriptor, fcntl.LOCK_EX, path)
            # Who had the lock before may have committed the batch and deleted the file that is open here.
            if os.fstat(descriptor).st_nlink:
                yield Journal(path, descriptor)
                return
        finally:
            os.close(descriptor)


def read_journal(path: Path) -> list[Entry]:
    """What stands in a journal, which may be growing; nothing for one that is gone."""
    try:
        return _scan(path.read_bytes())[0]
    except FileNotFoundError:
        return []


def is_running(path: Path) -> bool:
    """Whether some process has the journal open for its batch."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int, path: Path) -> bool:
    """Locks an open file; whether that was possible without a wait that was not asked for.

    Raises:
        StoreError: when the file system takes no locks.
    """
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StoreError(
            f"{path} cannot be locked ({error.strerror}): let `results` lie on a file system that takes locks for all "
            "hosts that share it: NFS does, and Lustre where it is mounted with the option flock"
        ) from error
    return True


def _encode(entry: Entry) -> bytes:
    outcome = entry.outcome
    about = {
        "index": entry.index,
        "seed": entry.seed,
        "parameters": len(entry.theta),
        "status": int(outcome.status),
        "seconds": outcome.seconds,
        "attempts": outcome.attempts,
        "exit_code": outcome.exit_code,
        "message": outcome.message,
        "shapes": {name: array.shape for name, array in outcome.data.items()},
        "context": {name: array.shape for name, array in entry.context.items()},
    }
    arrays = [entry.theta, *outcome.data.values(), *entry.context.values()]
    body = json.dumps(about).encode() + b"\n" + b"".join(np.asarray(array, "<f8").tobytes() for array in arrays)
    return _HEADER.pack(len(body), zlib.crc32(body)) + body


def _decode(body: bytes) -> Entry:
    line, numbers = body.split(b"\n", 1)
    about = json.loads(line)
    values = np.frombuffer(numbers, "<f8").astype(np.float64)
    theta, values = np.split(values, [about["parameters"]])
    data, context = {}, {}
    # Journals of earlier versions know no contexts.
    for shapes, arrays in ((about["shapes"], data), (about.get("context", {}), context)):
        for name, shape in shapes.items():
            array, values = np.split(values, [int(np.prod(shape))])
            arrays[name] = array.reshape(shape)
    outcome = Outcome(
        Status(about["status"]), data, about["seconds"], about["attempts"], about["exit_code"], about["message"]
    )
    return Entry(about["index"], about["seed"], theta, outcome, context)


def _scan(content: bytes) -> tuple[list[Entry], int]:
    """Whole records of a journal, and how many bytes they take; a damaged one among them is passed over."""
    entries: list[Entry] = []
    start = valid = 0
    while start + _HEADER.size <= len(content):
        length, checksum = _HEADER.unpack_from(content, start)
        body = content[start + _HEADER.size : start + _HEADER.size + length]
        # No record is empty, but zeros, which a power failure may leave at the end of a file, would pass for one.
        if not body or len(body) < length:
            break
        start += _HEADER.size + length
        if zlib.crc32(body) == checksum:
            entries.append(_decode(body))
            valid = start
    return entries, valid
