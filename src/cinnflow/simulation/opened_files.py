"""Which files any process opens: what a program reads, it does not say."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_OPENED, _IS_FOLDER = 0x20, 0x40000000
_HEAD = struct.Struct("iIII")
_MOST_FOLDERS = 1000


class OpenedFiles:
    """Watches folders, and all below them that are not hidden, for files that are opened (Linux; elsewhere in vain).

    Args:
        folders: the folders; those that are not there are left out.

    Reference:
        inotify(7), Linux Programmer's Manual.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [folder.resolve() for folder in folders]
        self._watched: dict[int, Path] = {}
        self._queue = -1
        self.files: set[Path] = set()
        """Those that were opened within the block, once it has ended."""

    def __enter__(self) -> OpenedFiles:
        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "inotify_init1"):
            self._queue = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._queue >= 0:
            for folder in self._all_folders():
                watch = library.inotify_add_watch(self._queue, os.fsencode(folder), _OPENED)
                if watch >= 0:
                    self._watched[watch] = folder
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._queue < 0:
            return
        with suppress(BlockingIOError):  # once nothing is left to read
            while True:
                self._take(os.read(self._queue, 65536))
        os.close(self._queue)

    def _take(self, events: bytes) -> None:
        position = 0
        while position < len(events):
            watch, mask, _, length = _HEAD.unpack_from(events, position)
            position += _HEAD.size + length
            name = events[position - length : position].rstrip(b"\0")
            if name and watch in self._watched and not mask & _IS_FOLDER:
                self.files.add(self._watched[watch] / os.fsdecode(name))

    def _all_folders(self) -> list[Path]:
        found: list[Path] = []
        for top in self._folders:
            for folder, below, _ in os.walk(top):
                below[:] = [name for name in below if not name.startswith((".", "__pycache__"))]
                if len(found) < _MOST_FOLDERS:
                    found.append(Path(folder))
        return found
