"""What a user gives a trainer, checked before anything is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinnflow import config
from cinnflow.arguments import whole_number


def settings_of(
    regime: str, learning_rate: float | None, validation_sims: Any, patience: Any, **numbers: Any
) -> config.Training:
    """The settings of a training, without what is None and left to its defaults.

    Raises:
        ValueError: for numbers that are none, or a patience without a validation loss.
    """
    if not isinstance(validation_sims, Mapping | None):
        validation_sims = whole_number("validation_sims", validation_sims, 0)
    given = {name: whole_number(name, number) for name, number in numbers.items() if number is not None}
    if patience is not None:
        given["patience"] = whole_number("patience", patience, 0)
    chosen = config.Training(regime=regime, learning_rate=learning_rate, **given)
    if chosen.patience and (validation_sims == 0 or (validation_sims is None and chosen.simulates)):
        raise ValueError(f"patience={patience} counts epochs by their validation loss: give validation_sims")
    return chosen
