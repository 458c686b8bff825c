"""Imports of TensorFlow and Keras in three fifths of the time."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_FOR_GALLERIES = ("matplotlib", "matplotlib.patches", "matplotlib.pyplot")
"""What Keras imports for its galleries of images: a seventh of all time, for what hardly anybody draws."""


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports within it collect no garbage, and put off matplotlib until something of it is used.

    Of the million objects that TensorFlow and Keras make as they are imported, nearly all stay.
    """
    collecting = gc.isenabled()
    gc.disable()
    if "matplotlib" not in sys.modules:
        _put_stand_ins()
    try:
        yield
    finally:
        _remove_stand_ins()
        # Straight to the oldest generation, or they would be looked through in each of the younger ones.
        gc.freeze()
        gc.unfreeze()
        if collecting:
            gc.enable()


class _StandIn(ModuleType):
    """Stands in for a module, which is imported once something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # which an import asks for
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _put_stand_ins() -> None:
    for name in _FOR_GALLERIES:
        sys.modules[name] = _StandIn(name)
        package, _, module = name.rpartition(".")
        if package:
            setattr(sys.modules[package], module, sys.modules[name])


def _remove_stand_ins() -> None:
    for name in _FOR_GALLERIES:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
