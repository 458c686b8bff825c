"""Verdicts: one row a parameter, with a stated rate of false alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

FALSE_ALARMS = 0.05
"""Probability that a diagnostic fails a right posterior, over all of its parameters together."""

PASS, FAIL, UNINFORMATIVE = "pass", "fail", "uninformative"
DOUBTFUL, UNFINISHED, UNEVEN = "doubtful", "unfinished", "uneven"
WORST_FIRST = (FAIL, DOUBTFUL, UNFINISHED, UNEVEN, UNINFORMATIVE, PASS)

COLUMNS = ["parameter", "value", "p_value", "verdict", "reason"]
"""Columns of a verdict; p_value is adjusted for the number of tests of its diagnostic, NaN where nothing is tested."""

ALL_PARAMETERS = "all parameters"
"""Stands for a parameter's name where a diagnostic judges the joint posterior."""


def threshold(tests: int) -> float:
    """P-value at or below which one of `tests` fails, so that all of them together keep to FALSE_ALARMS."""
    return FALSE_ALARMS / tests


def worst(words: Iterable[str]) -> str:
    """The verdict that counts when there are several; a pass when there is none."""
    return min(words, key=WORST_FIRST.index, default=PASS)


def calibration_verdict(table: pd.DataFrame, quantity: str, fault: str | Sequence[str]) -> pd.DataFrame:
    """Judges p-values of calibration, where a posterior that knows no more than the prior passes nothing.

    Args:
        table: one row a parameter, or several that are alike in what counts here: parameter, p_value, informative,
            left_out, and the column `quantity`.
        quantity: the column that is the diagnostic's number.
        fault: what a p-value below the threshold means, for all parameters or for each.

    Returns:
        Table with COLUMNS.
    """
    rows = table.drop_duplicates("parameter")
    limit = threshold(len(rows))
    judged = []
    faults = [fault] * len(rows) if isinstance(fault, str) else fault
    for row, meaning in zip(rows.to_dict("records"), faults, strict=True):
        if row["p_value"] <= limit:
            verdict, why = FAIL, f"{meaning} (p = {row['p_value']:.1g}, limit {limit:.2g})"
        elif not row["informative"]:
            verdict, why = UNINFORMATIVE, "the posterior predicts no better than the prior"
        else:
            verdict, why = PASS, f"p = {row['p_value']:.2g}, limit {limit:.2g}"
        p_value = min(1.0, row["p_value"] * len(rows))
        judged.append((row["parameter"], row[quantity], p_value, verdict, why + left_out_note(int(row["left_out"]))))
    return pd.DataFrame(judged, columns=COLUMNS)


def left_out_note(left_out: int) -> str:
    """What a reason adds where data sets are missing."""
    return f"; {left_out} data sets left out: not finite" if left_out else ""


def percent(share: float) -> str:
    """A share in percent, with two significant digits below ten."""
    shown = 100 * share
    return f"{shown:.0f} %" if shown >= 9.5 else f"{shown:.2g} %"
