"""Seeds of the parts that something with a seed of its own is made of."""

from __future__ import annotations

import numpy as np

from cinnflow.arguments import whole_number


def child_seeds(seed: int, count: int) -> list[int]:
    """Seeds for the parts of a layer, or of a training: independent of each other, and the same for the same seed.

    Raises:
        ValueError: for a seed that is no whole number from 0 on.
    """
    seed = whole_number("seed", seed, 0)
    return [int(child) for child in np.random.SeedSequence(seed).generate_state(count) >> 1]
