"""What a user gives a trainer, checked before anything is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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


def path_of(name: str, given: str | Path | None, folder: bool) -> Path | None:
    """Where training writes something; None where it does not.

    Args:
        name: of the argument.
        given: a path, which need not be there yet; or None.
        folder: whether it is that of a folder.

    Raises:
        ValueError: where a file has a folder's path, or a folder a file's.
    """
    if given is None:
        return None
    path = Path(given)
    if path.exists() and path.is_dir() != folder:
        raise ValueError(f"{name} takes {'a folder' if folder else 'a file'}, and {path} is none")
    return path
