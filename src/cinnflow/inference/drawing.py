"""Posterior draws of many data sets, in pieces that fit memory, and through a compiled program where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

Inverse = Callable[[np.ndarray, np.ndarray], tf.Tensor]
"""Latent draws (data sets, n, parameters) and conditions (data sets, 1, entries) -> parameters."""

_ROWS_AT_ONCE = 2**16
_DRAWS_WORTH_COMPILING = 2**18
"""Of one request, on a CPU: from about so many on, a compiled program makes up for its compilation."""
_ROWS_COMPILED = 2**13
"""Of one compiled call, so that what layers give each other stays in a cache."""


def draw(
    inverse: Inverse, compiled: Inverse, conditions: np.ndarray, n_samples: int, num_params: int, seed: int | None
) -> np.ndarray:
    """Draws for each of some conditions; the same for the same seed, whichever way they take.

    Args:
        inverse: the inverse of the invertible network, on the parameters' own scale.
        compiled: the same, compiled anew for every shape.
        conditions: of the data sets (data sets, 1, entries).
        n_samples: number of draws for each.
        num_params: number of parameters.
        seed: of the latent draws.

    Returns:
        Draws (data sets, n_samples, parameters).
    """
    rng = np.random.default_rng(seed)
    draws = np.empty((len(conditions), n_samples, num_params))
    large = len(conditions) * n_samples >= _DRAWS_WORTH_COMPILING and not tf.config.list_logical_devices("GPU")
    rows = _ROWS_COMPILED if large else _ROWS_AT_ONCE
    # Draws of many data sets go in one piece, and those of one data set in several.
    sets, each = max(1, rows // max(1, n_samples)), max(1, min(rows, n_samples))

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(conditions), sets):
            for first in range(0, n_samples, each):
                piece = draws[start : start + sets, first : first + each]
                z = rng.standard_normal(piece.shape, np.float32).astype(conditions.dtype)
                yield piece, z, conditions[start : start + sets]

    if not large:
        for piece, z, condition in pieces():
            piece[...] = inverse(z, condition)
        return draws

    def fill(piece: np.ndarray, z: np.ndarray, condition: np.ndarray) -> None:
        whole = compiled(_padded(z, sets, each), _padded(condition, sets))
        piece[...] = whole[: piece.shape[0], : piece.shape[1]]

    with ThreadPoolExecutor(_calls_at_once()) as pool:
        for _ in pool.map(fill, *zip(*pieces(), strict=True)):
            pass
    return draws


def _padded(array: np.ndarray, *sizes: int) -> np.ndarray:
    """An array whose first axes are filled up with zeros to these sizes, so that one program takes every piece."""
    filled = np.zeros((*sizes, *array.shape[len(sizes) :]), array.dtype)
    filled[tuple(map(slice, array.shape[: len(sizes)]))] = array
    return filled


def _calls_at_once() -> int:
    """Of a compiled program: one keeps the cores busy while another hands over its draws, where it may use several."""
    return 1 if tf.config.threading.get_intra_op_parallelism_threads() == 1 else 2
