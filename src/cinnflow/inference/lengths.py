"""Observed data that vary in length: where they end, and simulations cut to be compared with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from cinnflow.simulation.padding import MASK


def length_of_first(observed: Mapping[str, np.ndarray], padded: Collection[str]) -> int | None:
    """Length of the first observed data set; None where none varies.

    Args:
        observed: arrays (data sets, ...), by name, with a mask where their lengths differ.
        padded: names of those that vary in length.
    """
    if not padded:
        return None
    return int(observed[MASK][0].sum()) if MASK in observed else observed[next(iter(padded))].shape[1]


def nan_behind(observed: Mapping[str, np.ndarray], padded: Collection[str]) -> dict[str, np.ndarray]:
    """The observed arrays, with NaN where the mask says that nothing is; arguments as for `length_of_first`."""
    if MASK not in observed:
        return dict(observed)
    shown = dict(observed)
    for name in padded:
        shown[name] = observed[name].copy()
        shown[name][~observed[MASK]] = np.nan
    return shown


def cut_alike(
    simulated: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray], padded: Collection[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Simulations and the data set that they are compared with, both up to its end.

    Args:
        simulated: arrays (simulations, ...), by name.
        observed: one data set, by name; NaN behind its end.
        padded: names of the arrays that vary in length.
    """
    ends = {name: _end(observed[name]) for name in padded}
    cut_simulated = {name: array[:, : ends[name]] if name in ends else array for name, array in simulated.items()}
    cut_observed = {name: array[: ends[name]] if name in ends else array for name, array in observed.items()}
    return cut_simulated, cut_observed


def ended_alike(
    simulated: Mapping[str, np.ndarray], observed: Mapping[str, np.ndarray], padded: Collection[str]
) -> dict[str, np.ndarray]:
    """Simulations as long as before, with NaN behind the data set's end; arguments as for `cut_alike`."""
    ended = dict(simulated)
    for name in padded:
        ended[name] = simulated[name].copy()
        ended[name][:, _end(observed[name]) :] = np.nan
    return ended


def _end(array: np.ndarray) -> int:
    """Number of elements of one data set that are finite."""
    return int(np.isfinite(array).reshape(len(array), -1).all(axis=1).sum())
