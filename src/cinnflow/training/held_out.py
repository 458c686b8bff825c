"""Simulations that are held out of training, for the validation loss.

Where a share of them is, what was once trained on is never validated on, however many simulations come later. Each
simulation has a number in [0, 1), drawn at random, that depends on the seed and on its place among all of them alone; a
share holds out those whose number is below it. More simulations behind come with numbers of their own and change none,
and the share falls as they become more (`training/defaults.py`): none that was trained on is held out then.
"""

from __future__ import annotations

import numpy as np

from cinnflow.training.batches import Arrays


def held_out_of(places: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Whether each simulation is held out (n,): a share of them, one at least.

    Args:
        places: place of each among all simulations that there are, in ascending order (n,).
        share: how many are held out.
        seed: seed of which.
    """
    held_out = _drawn(places[-1] + 1, seed)[places] < share
    return held_out if held_out.any() else np.arange(len(places)) == 0


def held_apart(arrays: Arrays, how_many: int | float, seed: int) -> tuple[Arrays, Arrays]:
    """Simulations to train on, and others for validation.

    Args:
        arrays: configured simulations, by name, first axis the simulations.
        how_many: are held out: an integer, this number, those that have the lowest of the drawn numbers; or a share of
            them, one at least.
        seed: seed of which.

    Raises:
        ValueError: where none would be left to train on.
    """
    count = len(arrays["parameters"])
    drawn = _drawn(count, seed)
    number = max(1, int(np.sum(drawn < how_many))) if isinstance(how_many, float) else int(how_many)
    if number >= count:
        raise ValueError(
            f"{number} of {count} simulations held back for validation leaves none to train on: give more simulations, "
            "or a smaller validation_sims"
        )
    held_out = np.argsort(np.argsort(drawn)) < number
    rest, apart = ({name: array[rows] for name, array in arrays.items()} for rows in (~held_out, held_out))
    return rest, apart


def _drawn(count: int, seed: int) -> np.ndarray:
    """The number of each of the first simulations (count,)."""
    return np.random.default_rng(seed).random(count)
