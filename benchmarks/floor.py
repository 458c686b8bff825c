"""What an update of the tutorial's network costs at least: its arithmetic, and the memory that it has to move."""

from __future__ import annotations

import time
from collections.abc import Callable

ELEMENTS, PARAMETERS = 50, 4
_STACKS = 5
"""Of the tutorial's deep set that see every element: two layers of 64 units each, above the data in two of them."""
_SUMMARY_WEIGHTS = 2 * (4 * 64 + 64 * 64) + 3 * (64 * 64 + 64 * 64)
_COUPLING_WEIGHTS = 4 * 2 * (12 * 128 + 128 * 128 + 128 * 4)
"""Of its four two-sided couplings."""
_FORWARD_AND_BACKWARD = 3
"""What both passes cost together, in forward passes."""
_MOVED = 4
"""How often what a layer gives is written or read, in both passes together."""
_OPTIMIZER = 7
"""How often each weight, gradient and moment is."""


def operations(batch: int) -> float:
    """Floating-point operations of one update of the tutorial's network."""
    return _FORWARD_AND_BACKWARD * batch * 2 * (ELEMENTS * _SUMMARY_WEIGHTS + _COUPLING_WEIGHTS)


def bytes_moved(batch: int) -> float:
    """Bytes that one update reads and writes where nothing stays in a cache, in single precision."""
    activations = batch * (ELEMENTS * _STACKS * 2 * 64 + 4 * 2 * 2 * 128)
    return 4 * (_MOVED * activations + _OPTIMIZER * (_SUMMARY_WEIGHTS + _COUPLING_WEIGHTS))


def draw_operations() -> float:
    """Floating-point operations of one posterior draw, whose summaries are there already."""
    return 2.0 * _COUPLING_WEIGHTS


def rate(run: Callable[[], object], amount: float, repeats: int = 5) -> float:
    """How much of something a call does in a second, after one call that warms up."""
    run()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return repeats * amount / (time.perf_counter() - start)
