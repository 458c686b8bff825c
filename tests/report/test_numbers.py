"""Numbers as the report writes them."""

from __future__ import annotations

import pytest

from cinnflow.report.numbers import alike, duration, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (1.8512, "1.85"),
        (-0.0123, "−0.0123"),
        (512, "512"),
        (98765.4, "98765"),
        (1.5e-7, "1.50e−07"),
        (1234567, "1.23e+06"),
        (9.999, "10.0"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("values", "width", "texts"),
    [
        ((1.624, 1.8752, 2.2025), 0.578, ["1.62", "1.88", "2.20"]),
        ((-0.4314, 0.56), 0.131, ["−0.431", "0.560"]),
        ((1187.0, 4844.3), 3657.3, ["1187", "4844"]),
        ((0.0, 1e-7), 1e-7, ["0.00", "1.00e−07"]),
        ((3.0, 3.0), 0.0, ["3.00", "3.00"]),
        ((float("nan"), 3.0), float("nan"), ["–", "3.00"]),
    ],
)
def test_numbers_of_one_interval_have_the_same_decimals(values: tuple, width: float, texts: list[str]) -> None:
    assert alike(*values, width=width) == texts


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (59.6, "1 min 0 s"), (95, "1 min 35 s"), (7500, "2 h 5 min"), (12, "12 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
