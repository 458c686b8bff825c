"""The import of ArviZ, which takes seconds and may collide with that of another process."""

from __future__ import annotations

import importlib
from contextlib import suppress
from types import ModuleType

_TRIES = 4


def import_arviz() -> ModuleType:
    """ArviZ, also where other processes import it at the same moment, for the first time on a day.

    All of them then rename one file that notes the day, and who comes second finds it gone.
    """
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):
            return importlib.import_module("arviz")
    return importlib.import_module("arviz")
