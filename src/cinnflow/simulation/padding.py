"""Data whose first axis varies from one simulation to the next: padded to a declared maximum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MASK = "mask"
"""Name of the boolean array (simulations, elements) that says which elements are there."""

LENGTH = "length"
"""Name of the whole numbers (simulations,) that say how many elements are there, in stores and files."""

MaxLength = int | Mapping[str, int] | None


def check_max_length(max_length: MaxLength) -> None:
    """Checks a declared maximum: one for all arrays with an axis, or by the names of those that vary.

    Raises:
        ValueError: when it is no whole number above zero, or differs between arrays.
    """
    sizes = list(max_length.values()) if isinstance(max_length, Mapping) else [max_length]
    if max_length is not None and not all(type(size) is int and size > 0 for size in sizes):
        raise ValueError(f"max_length takes a whole number above 0, or a dict of them by name, got {max_length!r}")
    if len(set(sizes)) != 1:
        raise ValueError(
            f"max_length takes one number: the arrays of a simulation vary in length together, got {max_length!r}"
        )


def varying(shapes: Mapping[str, tuple[int, ...]], max_length: MaxLength) -> list[str]:
    """Names of the arrays that are padded, among arrays of these shapes."""
    if isinstance(max_length, Mapping):
        return list(max_length)
    return [name for name, shape in shapes.items() if shape] if max_length else []


def maximum(max_length: MaxLength) -> int:
    """The length that arrays are padded to; 0 where none are."""
    return next(iter(max_length.values())) if isinstance(max_length, Mapping) else max_length or 0


def common_length(data: Mapping[str, np.ndarray], max_length: MaxLength) -> int:
    """The length of the first axis of all arrays that vary; 0 where none do.

    Raises:
        ValueError: when arrays differ in length, are too long, have no axis, or lack; or when another array is as long
            as they can be: what varies is told from what does not by its length alone.
    """
    names = varying(_shapes(data), max_length)
    lengths = {name: data[name].shape[0] for name in names if name in data and data[name].ndim}
    if len(lengths) < len(names):
        lacking = ", ".join(name for name in names if name not in lengths)
        raise ValueError(f"max_length is declared for {lacking}, which the output has not as an array with an axis")
    if max_length and MASK in data:
        raise ValueError(f"an output takes another name than {MASK!r} where max_length is declared")
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"arrays of one simulation differ in length: {lengths}; where max_length is a dict, it names those that "
            "vary, together"
        )
    fixed = [name for name in data if name not in names and data[name].shape[:1] == (maximum(max_length),)]
    if max_length and fixed:
        raise ValueError(
            f"output {fixed[0]} is as long as max_length lets {', '.join(names)} be, {maximum(max_length)}, and would "
            "be cut where these end: name it there too if it varies with them, or else declare a larger max_length"
        )
    length = next(iter(lengths.values()), 0)
    if length > maximum(max_length):
        raise ValueError(
            f"output {', '.join(lengths)} is {length} long, above the declared max_length of {maximum(max_length)}"
        )
    return length


def pad(data: Mapping[str, np.ndarray], max_length: MaxLength, fill: float) -> dict[str, np.ndarray]:
    """One simulation's arrays, those that vary filled up behind their end."""
    names, size = varying(_shapes(data), max_length), maximum(max_length)
    return {
        name: np.concatenate([array, np.full((size - len(array), *array.shape[1:]), fill)]) if name in names else array
        for name, array in data.items()
    }


def check_mask(data: Mapping[str, np.ndarray]) -> None:
    """Checks that an array called `mask` is one: networks take it for what is there, and never see its values.

    Raises:
        ValueError: when it holds anything but true and false, or 1 and 0.
    """
    if MASK in data and not np.isin(data[MASK], (0, 1)).all():
        raise ValueError(
            f"an array called {MASK!r} says which elements are there, true or false for each; this one holds "
            f"{np.asarray(data[MASK]).flat[0]!s} and the like: give it another name if it is data"
        )


def mask_of(lengths: np.ndarray, size: int) -> np.ndarray:
    """Which elements are there (simulations, size), for lengths (simulations,)."""
    return np.arange(size) < np.asarray(lengths)[:, None]


def _shapes(data: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in data.items()}
