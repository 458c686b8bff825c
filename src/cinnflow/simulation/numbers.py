"""What counts as numbers, in what a simulator returns and in what was observed."""

from __future__ import annotations

import numpy as np


def unmasked(value: object) -> np.ndarray:
    """An array-like as an array; what a masked array hides is missing, NaN, and not the value behind the mask."""
    parts = value if isinstance(value, list | tuple) else [value]
    if not any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return np.asarray(value)
    masked = np.ma.asarray(value)
    return np.where(np.ma.getmaskarray(masked), np.nan, masked.data)


def numbers(value: object) -> np.ndarray:
    """An array-like of numbers as an array of float64, NaN where it is masked.

    Raises:
        ValueError: where it holds something else: text, complex numbers, times.
    """
    try:
        array = unmasked(value)
        if array.dtype.kind in "cmM":
            raise TypeError(f"its type is {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
