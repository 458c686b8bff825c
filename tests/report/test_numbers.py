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
        ((101325.2, 101300.1, 101350.3), 50.2, ["101325", "101300", "101350"]),
        ((99999.5, 99998.0, 100001.0), 3.0, ["99999.5", "99998.0", "100001.0"]),
        ((1e9, 999_999_840.0, 1_000_000_824.0), 984.0, ["1000000000", "999999840", "1000000824"]),
        ((2e4, 1.5e5, 4.2e5), 4e5, ["2.00e+04", "1.50e+05", "4.20e+05"]),
        ((-1.23456e-7, 1.23459e-7), 3e-11, ["−1.23456e−07", "1.23459e−07"]),
        ((6.0221e23, 6.0224e23), 3e20, ["6.0221e+23", "6.0224e+23"]),
        ((1.0, 1.0 + 3e-9), 3e-9, ["1.0000000000", "1.0000000030"]),
    ],
)
def test_numbers_of_one_interval_differ_where_its_ends_do(values: tuple, width: float, texts: list[str]) -> None:
    assert alike(*values, width=width) == texts


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (59.6, "1 min 0 s"), (95, "1 min 35 s"), (7500, "2 h 5 min"), (12, "12 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
