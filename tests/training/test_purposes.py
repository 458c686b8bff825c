"""No two purposes, trainings or seeds share random numbers."""

from typing import get_args

from cinnflow.training.purposes import Purpose, purpose_seed


def test_every_purpose_of_every_training_has_a_seed_of_its_own():
    seeds = [purpose_seed(seed, number, what) for seed in (0, 1) for number in range(3) for what in get_args(Purpose)]
    assert len(set(seeds)) == len(seeds) == 24
    assert purpose_seed(1, 2, "order") == seeds[-1]
