"""How much networks take at once: however much there is, what they make of it on the way fits memory.

Whoever passes many data sets, or many parameter vectors of one, through a network takes them in the parts that stand
here; what a single data set takes is the user's own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import numpy as np

T = TypeVar("T")

ROWS_AT_ONCE = 2**16
"""Parameter vectors, latent ones too, that the inference network sees at once."""
VALIDATED_AT_ONCE = 2**11
"""Data sets whose loss is taken at once; the last bits of a validation loss depend on it."""
_DATA_SETS_AT_ONCE = 2**12
_ELEMENTS_AT_ONCE = 2**18
"""Elements of all data sets together that the summary network sees at once."""


def in_parts(function: Callable[[dict], T], configured: Mapping, most: int = ROWS_AT_ONCE) -> Iterator[T]:
    """What a function gives of configured data, by name, one part after the other; arguments as for `parts_of`."""
    for part in parts_of(configured, most):
        yield function(rows_of(configured, part))


def parts_of(configured: Mapping, most: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """Parts of at most so many data sets, and so large ones, that what networks make of them fits memory."""
    elements = configured["summary_conditions"].shape[1] if "summary_conditions" in configured else 1
    yield from runs(number_of(configured), min(most, _DATA_SETS_AT_ONCE, _ELEMENTS_AT_ONCE // max(1, elements)))


def runs(count: int, most: int) -> Iterator[slice]:
    """Slices of `count` things, one after the other, of at most so many, and one at least."""
    size = max(1, most)
    for start in range(0, count, size):
        yield slice(start, start + size)


def rows_of(configured: Mapping, part: slice) -> dict[str, np.ndarray]:
    """The data sets of one part."""
    return {name: array[part] for name, array in configured.items()}


def number_of(configured: Mapping) -> int:
    """How many data sets there are."""
    return len(next(iter(configured.values())))
