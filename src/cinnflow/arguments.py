"""Numbers that a user gives, checked before anything depends on them."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any


def whole_number(name: str, number: Any, least: int = 1) -> int:
    """A whole number, NumPy's among them.

    Args:
        name: of the argument.
        number: its value.
        least: the smallest that it may be.

    Raises:
        ValueError: for anything else.
    """
    try:
        whole = operator.index(number)
    except TypeError:
        whole = least - 1
    if whole < least:
        raise ValueError(f"{name} takes a whole number from {least} on, got {number!r}")
    return whole


def positive_number(name: str, number: Any) -> float:
    """A finite number above zero, NumPy's among them; arguments and errors as for `whole_number`."""
    if not isinstance(number, Real) or not 0 < number < math.inf:
        raise ValueError(f"{name} takes a number above 0, got {number!r}")
    return float(number)
