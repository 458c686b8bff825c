"""What errors that are meant for a person have in common, and what to say of others."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

_LENGTH = 1000


class PlainError(Exception):
    """An error whose message tells a user all there is to know: what is wrong, and what to do."""


def in_one_line(error: BaseException) -> str:
    """An error that nobody foresaw: what it is, and where; in the user's own code, where any of that is involved."""
    frames = traceback.extract_tb(error.__traceback__)
    not_theirs = [str(Path(folder).resolve()) for folder in (sys.prefix, sys.base_prefix, Path(__file__).parent)]
    theirs = [
        frame
        for frame in frames
        # Cython names its sources as if they lay in the current folder.
        if not str(Path(frame.filename).resolve()).startswith(tuple(not_theirs))
        and Path(frame.filename).suffix != ".pyx"
    ]
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:_LENGTH]}"
    return f"{what} ({_place((theirs or frames)[-1])})" if frames else what


def _place(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}, line {frame.lineno}, in {frame.name}"
