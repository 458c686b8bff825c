"""Simulations that are held out of training, for the validation loss."""

from __future__ import annotations

import numpy as np

from cinnflow.training.batches import Arrays


def held_apart(arrays: Arrays, how_many: int | float, seed: int) -> tuple[Arrays, Arrays]:
    """Simulations to train on, and others for validation, drawn at random.

    Args:
        arrays: configured simulations, by name, first axis the simulations.
        how_many: are held out: an integer, this number; or a share of them, one at least. Which a share takes does not
            depend on how many there are: what was trained on is not held out once there are more behind.
        seed: seed of which.

    Raises:
        ValueError: where none would be left to train on.
    """
    count = len(arrays["parameters"])
    drawn = np.random.default_rng(seed).random(count)
    number = max(1, int(np.sum(drawn < how_many))) if isinstance(how_many, float) else int(how_many)
    if number >= count:
        raise ValueError(
            f"{number} of {count} simulations held back for validation leaves none to train on: give more simulations, "
            "or a smaller validation_sims"
        )
    order = np.argsort(drawn)
    rest, held_out = (
        {name: array[np.sort(rows)] for name, array in arrays.items()} for rows in (order[number:], order[:number])
    )
    return rest, held_out
