import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cinnflow.simulation.seeds import (
    fixed_global_generators,
    generator,
    program_seed,
    seed_global_generators,
    simulation_seed,
)

STUDY = st.integers(0, 2**64)
SPLIT = st.sampled_from(["round-0", "round-1", "round-10", "test", "predictive-a"])
INDEX = st.integers(0, 10**7)
SEED_OF_FIRST = 5626028784380527042
PRIOR_OF_7 = 796656830


@given(STUDY, SPLIT, INDEX)
def test_seeds_are_fit_for_where_they_go(study, split, index):
    seed = simulation_seed(study, split, index)
    assert 0 <= seed < 2**63
    assert 0 <= program_seed(seed) < 2**31
    assert simulation_seed(study, split, index) == seed


@given(st.tuples(STUDY, SPLIT, INDEX), st.tuples(STUDY, SPLIT, INDEX))
def test_seeds_differ_wherever_study_split_or_index_does(first, second):
    assert (simulation_seed(*first) == simulation_seed(*second)) == (first == second)


def test_seeds_never_change():
    """They are what a store's bits come from: other ones would orphan every store that there is."""
    assert simulation_seed(2026, "round-0", 0) == SEED_OF_FIRST
    assert program_seed(SEED_OF_FIRST) == SEED_OF_FIRST % 2**31
    assert generator(7, "prior").integers(10**9) == PRIOR_OF_7


def test_a_simulations_streams_are_its_own():
    draws = {stream: generator(7, stream).normal() for stream in ("prior", "simulator", "context")}
    assert len(set(draws.values())) == 3
    assert generator(7, "prior").normal() == draws["prior"]


def test_global_generators_are_fixed_for_a_while_and_then_as_before():
    def numbers():
        return random.random(), np.random.random()  # noqa: NPY002

    found = []
    for seed in (1, 2):
        seed_global_generators(seed)
        expected = numbers()
        seed_global_generators(seed)
        with fixed_global_generators():
            found.append(numbers())
        assert numbers() == expected
    assert found[0] == found[1]
