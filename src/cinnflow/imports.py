"""Imports of TensorFlow in two thirds of the time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports within it collect no garbage: of the million objects that TensorFlow and Keras make, nearly all stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Straight to the oldest generation, or they would be looked through in each of the younger ones.
        gc.freeze()
        gc.unfreeze()
        if collecting:
            gc.enable()
