"""Data as a user gives them, by name: an array alone, a dict of arrays, or what a generative model gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from cinnflow.simulation.numbers import unmasked
from cinnflow.simulation.padding import MASK

CONTEXTS = (
    "prior_batchable_context",
    "prior_non_batchable_context",
    "sim_batchable_context",
    "sim_non_batchable_context",
)

Data = np.ndarray | Mapping[str, np.ndarray]


def as_dict(data: Data, alone: str = "x") -> dict[str, np.ndarray]:
    """Data by name, as arrays, or tensors where they are some; an array alone gets the name `alone`."""
    named = data if isinstance(data, Mapping) else {alone: data}
    return {name: array if is_tensor(array) else _of_one_size(name, array) for name, array in named.items()}


def _of_one_size(name: str, value: Any) -> np.ndarray:
    """Data as an array; NumPy makes none of data sets that differ in size, or one of objects.

    Raises:
        ValueError: for such data sets.
    """
    try:
        array = unmasked(value)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        array = None
    if array is None or (array.dtype.kind == "O" and any(np.ndim(part) for part in array.flat)):
        raise ValueError(
            f"data {name!r} differ in size from one data set to the next: fill them up to one size, and say in a "
            f"boolean array {MASK!r} (data sets, elements) which elements are there"
        )
    return array


def raw_data(data: Data) -> Data:
    """The data and contexts in what a generative model gives; anything else as it is."""
    simulated = isinstance(data, Mapping) and {"prior_draws", "sim_data"} <= data.keys()
    return conditions_of(data) if simulated else data


def conditions_of(simulated: Mapping[str, Any]) -> Data:
    """What a posterior depends on, from a generative model's output: sim_data, and the contexts behind them.

    A context that a batch shares stands there once for each simulation. One without a name is called as it is in the
    output, such as sim_batchable_context.

    Raises:
        ValueError: where there are no data, or two of them have the same name.
    """
    if not isinstance(simulated, Mapping):
        raise ValueError(f"a model gives a dict of prior_draws and sim_data, this one gave {type(simulated).__name__}")
    if simulated.get("sim_data") is None:
        raise ValueError(f"a model gives prior_draws and sim_data, this one gave {', '.join(simulated) or 'nothing'}")
    contexts = {key: as_dict(simulated[key], key) for key in CONTEXTS if simulated.get(key) is not None}
    if not contexts:
        return simulated["sim_data"]
    conditions = as_dict(simulated["sim_data"])
    simulations = len(next(iter(conditions.values())))
    for key, named in contexts.items():
        if taken := sorted(named.keys() & conditions.keys()):
            raise ValueError(f"two of data and contexts have the name {taken[0]!r}: rename one")
        shared = "non_batchable" in key
        conditions |= {n: np.broadcast_to(a, (simulations, *a.shape)) if shared else a for n, a in named.items()}
    return conditions


def is_tensor(array: Any) -> bool:
    """Whether an array is a TensorFlow tensor."""
    # What most are is told faster than TensorFlow tells what they are not.
    return not isinstance(array, np.ndarray) and tf.is_tensor(array)
