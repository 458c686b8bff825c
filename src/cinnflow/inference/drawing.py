"""Posterior draws of many data sets, in pieces that fit memory, and through a compiled program where that pays."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product

import numpy as np
import tensorflow as tf

from cinnflow.inference.parts import ROWS_AT_ONCE, runs

Inverse = Callable[[np.ndarray, np.ndarray], tf.Tensor]
"""Latent draws (data sets, n, parameters) and conditions (data sets, 1, entries) -> parameters."""
Piece = tuple[slice, slice]
"""Of the draws: which data sets, and which draws of each."""

_DRAWS_WORTH_COMPILING = 2**18
"""Of one request, on a CPU: from about so many on, a compiled program makes up for its compilation."""
_ROWS_COMPILED = 2000
"""Of one piece, so that what layers give each other stays in a core's own cache. Round numbers of draws fill it."""
_FEW_PIECES = 4
"""Of one data set: up to so many are of the same size, since filling up the last one could double the work."""
_PIECES_COMPILED = 16
"""Of one call of the program, which takes them one after the other."""


def draw(
    inverse: Inverse, compiled: Inverse, conditions: np.ndarray, n_samples: int, num_params: int, seed: int | None
) -> np.ndarray:
    """Draws for each of some conditions; the same for the same seed, whichever way they take.

    Args:
        inverse: the inverse of the invertible network, on the parameters' own scale.
        compiled: the same of several pieces, along one more first axis of both; compiled anew for every shape.
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
    rows = _ROWS_COMPILED if large else ROWS_AT_ONCE
    # Draws of many data sets go in one piece, and those of one data set in several: few of them of the same size, many
    # of one size whatever their number.
    sets, parts = max(1, rows // max(1, n_samples)), max(1, -(-n_samples // rows))
    each = max(1, -(-n_samples // parts)) if parts <= _FEW_PIECES else rows
    pieces = list(product(runs(len(conditions), sets), runs(n_samples, each)))

    def latent(piece: Piece) -> np.ndarray:
        return rng.standard_normal(draws[piece].shape, np.float32).astype(conditions.dtype)

    if not large:
        for piece in pieces:
            draws[piece] = inverse(latent(piece), conditions[piece[0]])
        return draws

    def calls() -> Iterator[tuple[Sequence[Piece], np.ndarray, np.ndarray]]:
        for run in runs(len(pieces), _PIECES_COMPILED):
            together = pieces[run]
            # Filled up with zeros, so that one program takes every call.
            z = np.zeros((_PIECES_COMPILED, sets, each, num_params), conditions.dtype)
            condition = np.zeros((_PIECES_COMPILED, sets, *conditions.shape[1:]), conditions.dtype)
            for i, piece in enumerate(together):
                fresh = latent(piece)
                z[i, : fresh.shape[0], : fresh.shape[1]] = fresh
                condition[i, : len(fresh)] = conditions[piece[0]]
            yield together, z, condition

    def fill(call: tuple[Sequence[Piece], np.ndarray, np.ndarray]) -> None:
        together, z, condition = call
        for piece, found in zip(together, compiled(z, condition).numpy(), strict=False):
            place = draws[piece]
            place[...] = found[: place.shape[0], : place.shape[1]]

    threads = _calls_at_once()
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for call in calls():
            waiting.append(pool.submit(fill, call))
            if len(waiting) > threads:  # or the latent draws of all calls would stand in memory
                waiting.popleft().result()
        for last in waiting:
            last.result()
    return draws


def _calls_at_once() -> int:
    """As many as there are threads for TensorFlow: one call keeps hardly more than one core busy."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tf.config.threading.get_intra_op_parallelism_threads() or available
