"""How the report writes numbers."""

from __future__ import annotations

import numpy as np

_DIGITS = 15
"""Behind the first, a number in double precision has no more."""


def number(value: float) -> str:
    """A number with three significant digits, and no exponent where none is needed."""
    if value is None or not np.isfinite(value):
        return "–"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}".replace("-", "−")
    rounded = abs(float(f"{value:.2e}"))
    digits = max(0, 2 - int(np.floor(np.log10(rounded)))) if rounded else 2
    return f"{value:.{digits}f}".replace("-", "−")


def alike(*values: float, width: float) -> list[str]:
    """Numbers of one scale in one notation: their last digit is worth a thirtieth of `width` at most."""
    largest = np.max(np.abs([*values, width]))
    if not (np.isfinite(largest) and width > 0):
        return [number(value) for value in values]
    exponent = int(np.floor(np.log10(largest)))
    digits = int(min(np.ceil(np.log10(30 / width)) + exponent, _DIGITS))
    decimals = digits - exponent
    # Two digits that mean nothing are easier to read than an exponent.
    plain = largest > 1e-4 and (largest < 1e5 or decimals >= -2)
    form = f".{max(0, decimals)}f" if plain else f".{max(2, digits)}e"
    return [f"{value:{form}}".replace("-", "−") if value or plain else number(0) for value in values]


def published(value: float) -> str:
    """A number with the digits that it was published with."""
    return f"{value:.6g}".replace("-", "−")


def duration(seconds: float) -> str:
    """A time span in its natural unit: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
