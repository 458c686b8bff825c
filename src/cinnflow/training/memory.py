"""How much memory a training may use."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MEGABYTE = 10**6
BASE = 1200 * MEGABYTE
"""What training takes whatever its data are: TensorFlow, its compiler, the networks."""

COPIES = 6
"""How many times simulations stand in memory at once, while they are read, split, arranged and standardized."""


def memory_limit(megabytes: int) -> int:
    """Bytes that a job which was given some megabytes can use on this machine."""
    limits = [megabytes * MEGABYTE, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):  # there is none, or it reads "max"
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits)


def room_for_data(memory: int) -> int:
    """Bytes of simulations, as they stand in the store, that fit beside everything else."""
    return max(memory - BASE, memory // 4) // COPIES
