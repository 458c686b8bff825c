"""The files that a model file reads as it is loaded: what a simulation means depends on them too."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

IN_BUILD = 0
"""In place of a line of the model file: read when it was imported already, by build()."""

_watching = threading.local()
_hooked = threading.Event()

_LEFT_OUT = {"__pycache__", "results", "site-packages", "dist-packages"}
_INSTALLED = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1])


class FilesRead:
    """Files below a model file's folder, or the current one, that a thread opens: at which lines of the model file.

    Hidden ones are left out, results, and what belongs to Python or is installed.

    Args:
        model: the model file.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._folders = (model.parent, Path.cwd())
        self.lines: dict[Path, set[int]] = {}
        self.written: set[Path] = set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Takes note of the files that this thread opens within the block."""
        if not _hooked.is_set():  # a hook stays for as long as the process
            _hooked.set()
            sys.addaudithook(_hook)
        _watching.files = self
        try:
            yield
        finally:
            _watching.files = None

    def note(self, path: Path, written: bool, frame: FrameType | None) -> None:
        """Takes note of one file.

        Args:
            path: of the file, absolute.
            written: whether it is opened to be written.
            frame: of the code that opens it.
        """
        if not self._counts(path):
            return
        if written:
            self.written.add(path)
            return
        line = IN_BUILD
        while frame is not None:
            if frame.f_code.co_name == "<module>" and frame.f_code.co_filename == str(self._model):
                line = frame.f_lineno
            frame = frame.f_back
        self.lines.setdefault(path, set()).add(line)

    def _counts(self, path: Path) -> bool:
        if path == self._model or any(path.is_relative_to(place) for place in _INSTALLED):
            return False
        folder = next((place for place in self._folders if path.is_relative_to(place)), None)
        if folder is None:
            return False
        *inner, name = path.relative_to(folder).parts
        return not name.startswith(".") and not any(part.startswith(".") or part in _LEFT_OUT for part in inner)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or getattr(_watching, "files", None) is None:
        return
    opened, mode, flags = arguments
    if isinstance(opened, str | bytes | os.PathLike):  # not the number of a file that is open already
        path = Path(os.path.abspath(os.fsdecode(opened)))  # noqa: PTH100 - links are not followed
        written = set(mode) & set("wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
        _watching.files.note(path, bool(written), sys._getframe(1))
