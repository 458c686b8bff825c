"""What a user gives a trainer, checked before anything is simulated."""

from __future__ import annotations

import operator
from typing import Any

from cinnflow import config


def settings_of(regime: str = "rounds", **numbers: Any) -> config.Training:
    """The settings of a training, with None for what its defaults decide; errors as for `whole_number`."""
    return config.Training(regime=regime, **{name: whole_number(name, number) for name, number in numbers.items()})


def whole_number(name: str, number: Any, least: int = 1) -> int | None:
    """A whole number, NumPy's among them; None stays.

    Args:
        name: of the argument.
        number: its value.
        least: the smallest that it may be.

    Raises:
        ValueError: for anything else.
    """
    try:
        whole = None if number is None else operator.index(number)
    except TypeError:
        whole = least - 1
    if whole is not None and whole < least:
        raise ValueError(f"{name} takes a whole number from {least} on, got {number!r}")
    return whole
