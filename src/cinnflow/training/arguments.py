"""What a user gives a trainer, checked before anything is simulated."""

from __future__ import annotations

import operator
from typing import Any

from cinnflow import config


def settings_of(regime: str = "rounds", **numbers: Any) -> config.Training:
    """The settings of a training, without what is None and left to its defaults; errors as for `whole_number`."""
    given = {name: whole_number(name, number) for name, number in numbers.items() if number is not None}
    return config.Training(regime=regime, **given)


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
