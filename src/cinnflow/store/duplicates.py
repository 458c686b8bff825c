"""Simulations that stand in a file more than once: what is held out would be what was trained on."""

from __future__ import annotations

import hashlib

import numpy as np

from cinnflow.store.source import Source, SourceError

_ROWS = 1024
_BY_CHANCE = 0.1
"""Share of simulations that have the data of others with other parameters, above which equal ones are no copies: there
are few data that can come about."""


def check_distinct(source: Source) -> None:
    """Checks that a file does not hold copies of simulations; without a look at the data where no parameters are alike.

    Raises:
        SourceError: where parameters and data stand more than once, or the file cannot be read.
    """
    _, of_theta, times = np.unique(source.theta, axis=0, return_inverse=True, return_counts=True)
    if times.max() == 1:
        return
    data = _digests(source)
    both = np.column_stack([of_theta.reshape(-1), data])
    distinct, first = np.unique(both, axis=0, return_index=True)
    _, of_data, times = np.unique(distinct[:, 1], return_inverse=True, return_counts=True)
    copies = np.ones(source.simulations, bool)
    copies[first] = False
    if not copies.any() or np.mean(times[of_data.reshape(-1)] > 1) > _BY_CHANCE:
        return
    raise SourceError(
        f"{source.path}: {np.sum(copies)} of {source.simulations} simulations are copies of others, in parameters and "
        f"data, the first in row {np.argmax(copies)}. What is held out for validation and tests would have been "
        "trained on: keep one of each, with numpy.unique(theta, axis=0, return_index=True)"
    )


def _digests(source: Source) -> np.ndarray:
    """A number for the data of each simulation (simulations,), the same for the same data."""
    blocks = [range(start, min(start + _ROWS, source.simulations)) for start in range(0, source.simulations, _ROWS)]
    found = []
    for _, data in source.read(blocks):
        rows = np.concatenate([values.reshape(len(values), -1) for values in data.values()], axis=1)
        found += [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(found), np.int64)
