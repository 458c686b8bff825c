"""What a user gives a trainer, checked before anything is simulated."""

from __future__ import annotations

from typing import Any

from cinnflow import config
from cinnflow.arguments import whole_number


def settings_of(regime: str = "rounds", **numbers: Any) -> config.Training:
    """The settings of a training, without what is None and left to its defaults; errors as for `whole_number`."""
    given = {name: whole_number(name, number) for name, number in numbers.items() if number is not None}
    return config.Training(regime=regime, **given)
