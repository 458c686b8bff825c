"""Simulations that are held out of training, for the validation loss."""

from __future__ import annotations

import numpy as np

from cinnflow.training.batches import Arrays


def held_apart(arrays: Arrays, number: int, seed: int) -> tuple[Arrays, Arrays]:
    """Simulations to train on, and this number of others for validation, drawn at random.

    Args:
        arrays: configured simulations, by name, first axis the simulations.
        number: how many are held out.
        seed: seed of which.

    Raises:
        ValueError: where none would be left to train on.
    """
    count = len(arrays["parameters"])
    if number >= count:
        raise ValueError(
            f"{number} of {count} simulations held back for validation leaves none to train on: give more simulations, "
            "or a smaller validation_sims"
        )
    order = np.random.default_rng(seed).permutation(count)
    rest, held_out = (
        {name: array[np.sort(rows)] for name, array in arrays.items()} for rows in (order[number:], order[:number])
    )
    return rest, held_out


def count_held_out(arrays: Arrays, share: float) -> int:
    """How many of these simulations are a share of them, one at least."""
    return max(1, round(share * len(arrays["parameters"])))
