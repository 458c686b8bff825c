"""What `cinnflow check` says of a study's observations: what it reads from each, and where they are not alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from cinnflow.inference.observation import ObservationError, check_truncated_around, read_observation
from cinnflow.plan import Plan
from cinnflow.simulation.tables import has_increasing_first_row


def check_observations(
    plan: Plan,
    data: Mapping[str, tuple[int, ...]],
    contexts: Mapping[str, tuple[int, ...]],
    padded: Collection[str],
    lengths: Collection[str],
    console: Console,
) -> list[str]:
    """Reads every observation of a study, and shows how many data sets of which shape it holds.

    Args:
        plan: of the study.
        data: shape of each array that a simulation gives, that of the longest where it varies.
        contexts: shape of each context of a simulation.
        padded: names of the data whose first axis varies.
        lengths: names of contexts that are their length.
        console: where it is shown.

    Returns:
        What to say of those that are not shaped like a simulation.
    """
    observations = {f"observation {name}": Path(path) for name, path in plan.study.observations.items()}
    around = None if plan.study.simulations.observation is None else plan.around
    if around not in {None, *observations.values()}:
        observations["simulations.observation"] = around
    problems = []
    for key, path in observations.items():
        read = plan.model.read_observation
        try:
            observed = read_observation(path, {**data, **contexts}, read, padded, lengths)
            if path == around:
                check_truncated_around(path, observed)
        except ObservationError as error:
            problems.append(f"{key}: {error}")
        else:
            count = len(next(iter(observed.values())))
            said = [f"{key}: {_words({name: observed[name] for name in data}, count)}"]
            # Where each row is a data set: another one would not have fitted.
            if count > 1 and read is None and path.suffix == ".csv" and has_increasing_first_row(path, count):
                said.append(_remark(key, path))
            for line in said:
                console.print(line, markup=False, highlight=False)
    return problems


def _words(arrays: Mapping[str, np.ndarray], count: int) -> str:
    shapes = ", ".join(f"{name} {array.shape[1:]}" for name, array in arrays.items())
    return f"1 data set, {shapes}" if count == 1 else f"{count} data sets, each {shapes}"


def _remark(key: str, path: Path) -> str:
    return (
        f"{key}: the first row of {path} goes up in whole numbers, and no other row does: it is read as a data set. "
        "Where it is a header, such as years or times, put a # before it"
    )
