"""Seeds: every simulation owns its random numbers, wherever, whenever and in whatever order it runs."""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np

Stream = Literal["prior", "simulator", "context"]
_STREAMS: dict[Stream, int] = {"prior": 0, "simulator": 1, "context": 2}


def simulation_seed(study_seed: int, split: str, index: int) -> int:
    """Seed of simulation `index` of a split: a 63-bit integer that depends on these three alone."""
    sequence = np.random.SeedSequence(study_seed, spawn_key=(zlib.crc32(split.encode()), index))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def posterior_seed(study_seed: int, data: str) -> int:
    """Seed of the posterior draws for some data, by their name: draws for different data are independent.

    With one seed for all, draw i of two observations would come of the same latent vector, and what is computed of
    both, such as a difference, would look far more certain than it is.
    """
    sequence = np.random.SeedSequence(study_seed, spawn_key=(zlib.crc32(f"posterior of {data}".encode()),))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """A simulation's generator for one of its streams; the prior's draws do not move the simulator's."""
    return np.random.default_rng([_STREAMS[stream], seed])


def program_seed(seed: int) -> int:
    """The integer below 2**31 that an external program gets for a simulation's seed."""
    return seed % 2**31


@contextlib.contextmanager
def fixed_global_generators() -> Iterator[None]:
    """Seeds the global generators of Python and NumPy for as long as the block runs.

    A model file that draws from them as it is imported, or in build(), would be another model in each job.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        seed_global_generators(0)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def seed_global_generators(seed: int) -> None:
    """Seeds the global generators of Python and NumPy, in a process that does nothing but simulate.

    A function that draws from them breaks the rules. Forked processes would all draw the same, though, and another time
    something else.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the user's generator, not ours
