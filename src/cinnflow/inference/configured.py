"""What networks take: configured arrays, by the networks' names, and what is wrong with them where anything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cinnflow.simulation.padding import MASK

CONFIGURED = ("parameters", "summary_conditions", "summary_mask", "direct_conditions")
SEEN = ("summary_conditions", "direct_conditions")


def is_configured(data: Any) -> bool:
    """Whether data are already what the networks take."""
    return isinstance(data, Mapping) and bool(data) and set(data) <= set(CONFIGURED)


def checked(configured: Mapping[str, Any], num_params: int) -> dict[str, np.ndarray]:
    """Configured simulations as arrays.

    Args:
        configured: parameters (simulations, num_params), and what networks see by its name, or None where it is not
            there.
        num_params: number of parameters.

    Raises:
        ValueError: for names that no network takes, nothing that they see, or other shapes.
    """
    if not isinstance(configured, Mapping):
        raise ValueError(f"a configurator gives a dict of {', '.join(CONFIGURED)}, this one gave {configured!r:.100}")
    arrays = {name: np.asarray(array) for name, array in configured.items() if array is not None}
    if set(arrays) - set(CONFIGURED) or "parameters" not in arrays or not {*arrays} & {*SEEN}:
        raise ValueError(
            f"training takes parameters, and summary_conditions or direct_conditions; besides at most summary_mask; "
            f"it got {', '.join(arrays) or 'nothing'}"
        )
    simulations = arrays["parameters"].shape[:1]
    shapes = {
        "parameters": ("simulations", str(num_params)),
        "summary_conditions": ("simulations", "elements", "channels"),
        "summary_mask": ("simulations", "elements"),
        "direct_conditions": ("simulations", "entries"),
    }
    for name in (name for name in shapes if name in arrays):  # parameters first
        array = arrays[name]
        if array.shape[:1] != simulations and array.ndim == len(shapes[name]):
            raise ValueError(
                f"{name} are of {len(array)} simulations, and parameters of {simulations[0]}: each takes one row for "
                "each simulation"
            )
        if array.ndim != len(shapes[name]) or (name == "parameters" and array.shape[1] != num_params):
            raise ValueError(f"{name} take the shape ({', '.join(shapes[name])}), got {array.shape}")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} take numbers, got {array.dtype}")
    return zero_where_missing(arrays)


def zero_where_missing(configured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays, zero where the mask says that nothing is: NaN may stand there.

    Raises:
        ValueError: for a mask of other elements.
    """
    if not {"summary_conditions", "summary_mask"} <= set(configured):
        return configured
    conditions, mask = configured["summary_conditions"], configured["summary_mask"]
    if mask.shape != conditions.shape[:2]:
        raise ValueError(f"summary_mask take the shape {conditions.shape[:2]} of summary_conditions, got {mask.shape}")
    return {**configured, "summary_conditions": np.where(mask.astype(bool)[..., None], conditions, 0)}


def with_an_element(configured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same arrays; where data sets have no element at all, with one that is missing, as they have in training."""
    if "summary_conditions" not in configured or configured["summary_conditions"].shape[1]:
        return configured
    count, _, channels = configured["summary_conditions"].shape
    return {
        **configured,
        "summary_conditions": np.zeros((count, 1, channels)),
        "summary_mask": np.zeros((count, 1), bool),
    }


def check_configured(arrays: Mapping[str, np.ndarray], trained: Mapping[str, Sequence[int | None]]) -> None:
    """Checks configured data that a posterior is asked about.

    Args:
        arrays: conditions by the networks' names, first axis the data sets.
        trained: the shapes of those that the posterior was trained on, by name, the data sets' axis included. Sets may
            be of another size, and under a mask.

    Raises:
        ValueError: for a missing or unknown name, another shape, or values that are not finite.
    """
    needed = [name for name in SEEN if name in trained]
    optional = {"summary_mask"} if "summary_conditions" in needed else set()
    if set(arrays) - optional != set(needed):
        raise ValueError(f"this posterior takes {' and '.join(needed)}, got {', '.join(arrays)}")
    sets = arrays[needed[0]].shape[:1]
    elements = arrays["summary_conditions"].shape[1:2] if "summary_conditions" in needed else ()
    shapes = {
        "summary_conditions": sets + elements + tuple(trained.get("summary_conditions", ()))[2:],
        "summary_mask": sets + elements,
        "direct_conditions": sets + tuple(trained.get("direct_conditions", ()))[1:],
    }
    for name, array in arrays.items():
        if array.shape != shapes[name] or not sets:
            wanted = ", ".join(["data sets", *(str(size) for size in shapes[name][1:])])
            raise ValueError(
                f"{name} take the shape ({wanted}), the same number of data sets for each name, got {array.shape}"
            )
    check_finite(arrays, {"summary_conditions": arrays["summary_mask"]} if "summary_mask" in arrays else {})


def check_finite(arrays: Mapping[str, Any], masks: Mapping[str, Any]) -> None:
    """Checks data that a posterior is asked about.

    Args:
        arrays: data by name, first axis the data sets.
        masks: for those of them that have one, which elements are there (data sets, elements).

    Raises:
        ValueError: for what is no number, or is not finite where something is there.
    """
    for name, array in arrays.items():
        values = np.asarray(array)
        if values.dtype.kind not in "biuf":
            raise ValueError(f"data {name!r} take numbers, got {values.dtype}")
        bad = ~np.isfinite(values)
        if name in masks:
            there = np.asarray(masks[name], dtype=bool)
            bad &= there.reshape(*there.shape, *[1] * (bad.ndim - 2))
        if bad.any():
            raise ValueError(
                f"data {name!r} hold values that are not finite in data set {first_of(bad)}: leave it out, or say "
                f"in a boolean array {MASK!r} (data sets, elements) which elements are there"
            )


def first_of(found: np.ndarray) -> int:
    """The first data set for which anything is true."""
    return int(found.reshape(len(found), -1).any(axis=1).argmax())
