"""Configured data in parts that fit memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS_AT_ONCE = 2**16
"""Parameter vectors that the inference network sees at once."""
_DATA_SETS_AT_ONCE = 2**12
_ELEMENTS_AT_ONCE = 2**18
"""Elements of all data sets together that the summary network sees at once."""


def parts_of(configured: dict[str, np.ndarray], most: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """Runs of at most so many data sets, and so large ones, that what the networks make of them fits memory."""
    elements = configured["summary_conditions"].shape[1] if "summary_conditions" in configured else 1
    size = max(1, min(most, _DATA_SETS_AT_ONCE, _ELEMENTS_AT_ONCE // max(1, elements)))
    for start in range(0, number_of(configured), size):
        yield slice(start, start + size)


def rows_of(configured: dict[str, np.ndarray], part: slice) -> dict[str, np.ndarray]:
    """The data sets of one part."""
    return {name: array[part] for name, array in configured.items()}


def number_of(configured: dict[str, np.ndarray]) -> int:
    """How many data sets there are."""
    return len(next(iter(configured.values())))
