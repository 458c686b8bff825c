"""All verdicts in one table, one row a parameter, and in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cinnflow.diagnostics.verdicts import (
    DOUBTFUL,
    FAIL,
    FALSE_ALARMS,
    PASS,
    UNEVEN,
    UNFINISHED,
    UNINFORMATIVE,
    WORST_FIRST,
    worst,
)

_NAMED = 8


def compute(verdicts: Mapping[str, pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """One row a parameter: every diagnostic's number and verdict, and the worst of them.

    A diagnostic that judges something other than single parameters (all of them jointly, or each fit) gives every row
    its worst verdict; one that judges other parameters leaves a row without one.

    Each diagnostic fails a right posterior in FALSE_ALARMS of all studies, so that one of many often does: failures
    that are not beyond chance, by the harmonic mean of all smallest p-values, make a parameter doubtful. That holds
    where diagnostics see the same draws, and several that nearly fail count for more than one.

    Args:
        verdicts: each diagnostic's name and what its `verdict` returned.
        names: the parameters' names.

    Returns:
        parameter, verdict, reason (of whatever is not a pass), then <diagnostic> and <diagnostic>_verdict.

    Reference:
        Wilson (2019), The harmonic mean p-value for combining dependent tests, PNAS 116:1195-1200.
    """
    by_chance = _harmonic_mean([judged["p_value"].min() for judged in verdicts.values()]) > FALSE_ALARMS
    rows = []
    for name in names:
        row: dict[str, object] = {"parameter": name}
        words, reasons = [], []
        for diagnostic, judged in verdicts.items():
            by_parameter = judged["parameter"].isin(names).any()
            mine = judged[judged["parameter"] == name] if by_parameter else judged
            if mine.empty:
                row |= {diagnostic: np.nan, f"{diagnostic}_verdict": ""}
                continue
            deciding = mine[mine["verdict"] == worst(mine["verdict"])].sort_values("p_value").iloc[0]
            row |= {diagnostic: deciding["value"], f"{diagnostic}_verdict": deciding["verdict"]}
            words.append(DOUBTFUL if by_chance and deciding["verdict"] == FAIL else deciding["verdict"])
            if deciding["verdict"] != PASS:
                reasons.append(f"{diagnostic}: {deciding['reason']}")
        rows.append({"parameter": name, "verdict": worst(words), "reason": "; ".join(reasons)} | row)
    return pd.DataFrame(rows)


def _harmonic_mean(p_values: Sequence[float]) -> float:
    """Of those that are numbers; NaN where none is."""
    known = np.array([p_value for p_value in p_values if not np.isnan(p_value)])
    return float(1 / np.mean(1 / np.maximum(known, np.finfo(float).tiny))) if len(known) else float("nan")


def conclusion(summary: pd.DataFrame) -> str:
    """The verdict in one sentence."""
    words = summary.filter(regex="_verdict$").rename(columns=lambda column: column.removesuffix("_verdict"))
    words = words.loc[:, (words.notna() & (words != "")).any()]
    failing = [diagnostic.replace("_", " ") for diagnostic in words if (words[diagnostic] == FAIL).any()]
    count = f"{len(failing)} of {words.shape[1]} checks" if words.shape[1] > 1 else "the one check that was made"
    fail = f"{'fails' if len(failing) == 1 else 'fail'} ({', '.join(failing)})"
    named = {word: _list(summary.loc[summary["verdict"] == word, "parameter"]) for word in WORST_FIRST}
    if named[FAIL]:
        return f"Do not rely on this posterior yet: {count} {fail}."
    if named[DOUBTFUL]:
        count = count[0].upper() + count[1:]
        return f"{count} {fail}, no more clearly than chance explains: more test simulations would tell."
    if named[UNFINISHED]:
        return "No check fails, but training is not finished: more epochs would make the posterior better."
    if named[UNEVEN]:
        return (
            "The posterior passes every check, among the parameters whose simulation succeeds:"
            f" failures depend on {named[UNEVEN]}."
        )
    if named[UNINFORMATIVE] and not named[PASS]:
        return (
            "No check fails, but each posterior is its prior: the data, or the network, say nothing of the parameters."
        )
    if named[UNINFORMATIVE]:
        unknown = named[UNINFORMATIVE]
        return f"The posterior passes every check for {named[PASS]}; of {unknown} it says no more than the prior."
    checks = f"all {words.shape[1]} checks" if words.shape[1] > 1 else "the one check that was made"
    return f"The posterior passes {checks}, for {'every parameter' if len(summary) > 1 else named[PASS]}."


def _list(names: Sequence[str]) -> str:
    names = list(names)
    if len(names) > _NAMED:
        return f"{len(names)} parameters"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
