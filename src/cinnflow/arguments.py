"""Numbers and functions that a user gives, checked before anything depends on them."""

from __future__ import annotations

import inspect
import math
import operator
from collections import Counter
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


def function_of(name: str, function: Any, *arguments: str) -> None:
    """Checks that an argument is a function that can be called with these arguments by position.

    Args:
        name: of the argument.
        function: its value.
        arguments: what the function's own arguments are, in order; it may take others behind them.

    Raises:
        TypeError: for anything else.
    """
    functions(**{name: function})
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have none
        return
    kinds = Counter(parameter.kind for parameter in signature.parameters.values())
    by_position = kinds[inspect.Parameter.POSITIONAL_ONLY] + kinds[inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if by_position < len(arguments) and not kinds[inspect.Parameter.VAR_POSITIONAL]:
        raise TypeError(f"{name} is called as {name}({', '.join(arguments)}), and the function given takes {signature}")


def functions_or_none(**given: Any) -> None:
    """Checks that arguments, by name, are functions, or None where they are left out; errors as for `functions`."""
    functions(**{name: value for name, value in given.items() if value is not None})
