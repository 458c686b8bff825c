"""Rows of a file that are held out for tests: they must be like the others, and none of them."""

from __future__ import annotations

import hashlib

import numpy as np
from scipy import stats

from cinnflow.store.source import Source, SourceError

_ROWS = 1024
_BY_CHANCE = 0.1
"""Share of simulations that have the data of others with other parameters, above which equal ones are no copies: there
are few data that can come about."""
_BY_ORDER = 1e-8
"""P-value below which parameters that are held out are not from where the others are: rows are in some order."""


def check_held_out(source: Source, held_out: int) -> None:
    """Checks that the last rows may stand for what a study has not trained on.

    The data are looked at only where parameters are alike.

    Args:
        source: the file.
        held_out: how many of its last rows are held out.

    Raises:
        SourceError: where parameters and data stand more than once, held-out parameters are distributed otherwise than
            the others, or the file cannot be read.
    """
    theta = source.theta
    _check_distinct(source, theta)
    for name, values in zip(source.names, theta.T, strict=True):
        others, last = (rows[np.isfinite(rows)] for rows in (values[:-held_out], values[-held_out:]))
        # The p-value is exact up to 10,000 rows; beyond, that of a single row would be 0 where it is the largest.
        if min(len(others), len(last)) > 1 and stats.ks_2samp(others, last).pvalue < _BY_ORDER:
            raise SourceError(
                f"{source.path}: the last {held_out} rows, which are held out (simulations.test), have another "
                f"distribution of {name} than the others, so that no check on them holds: shuffle the rows"
            )


def _check_distinct(source: Source, theta: np.ndarray) -> None:
    _, of_theta, times = np.unique(theta, axis=0, return_inverse=True, return_counts=True)
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
