"""Seeds of a training, one for each purpose that it draws at random for."""

from __future__ import annotations

from typing import Literal, get_args

from cinnflow.networks.seeds import child_seeds

Purpose = Literal["pilot", "validation", "batches", "order"]
"""Three kinds of simulations, and which of those that there are make up a batch."""
_PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def purpose_seed(seed: int, training: int, purpose: Purpose) -> int:
    """The seed for one purpose of a trainer's training number `training`; no two trainings or purposes share any."""
    seeds = child_seeds(seed, len(_PURPOSES) * (training + 1))
    return seeds[len(_PURPOSES) * training + _PURPOSES.index(purpose)]
