"""Numbers that a user gives, checked before anything depends on them."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any


def whole_number(name: str, number: Any, least: int = 1) -> int:
    """A whole number, NumPy's among them, but neither True nor False.

    Args:
        name: of the argument.
        number: its value.
        least: the smallest that it may be.

    Raises:
        ValueError: for anything else.
    """
    try:
        whole = least - 1 if isinstance(number, bool) else operator.index(number)
    except TypeError:
        whole = least - 1
    if whole < least:
        raise ValueError(f"{name} takes a whole number from {least} on, got {number!r}")
    return whole


def positive_number(name: str, number: Any) -> float:
    """A finite number above zero; arguments and errors as for `whole_number`."""
    if isinstance(number, bool) or not isinstance(number, Real) or not 0 < number < math.inf:
        raise ValueError(f"{name} takes a number above 0, got {number!r}")
    return float(number)


def functions(**given: Any) -> None:
    """Checks that arguments, by name, are functions.

    Raises:
        TypeError: for anything else.
    """
    for name, value in given.items():
        if not callable(value):
            raise TypeError(f"{name} takes a function, got {value!r}")


def functions_or_none(**given: Any) -> None:
    """Checks that arguments, by name, are functions, or None where they are left out; errors as for `functions`."""
    functions(**{name: value for name, value in given.items() if value is not None})
