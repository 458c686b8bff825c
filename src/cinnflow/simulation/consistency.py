"""A generative model's consistency: does what it gives have the shapes that everything else relies on?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PILOT_RUNS = 2


@dataclass(frozen=True)
class Consistency:
    """What pilot runs of a generative model have shown; as text, a line for each array.

    Args:
        name: the model's name.
        batch_size: how many pilot runs.
        shapes: shape of each array of the output, by its key; one of a dict is called `sim_data['x']`.
        absent: keys of the contexts that there are none of.
        problems: what is not as it should be, in words.
    """

    name: str
    batch_size: int
    shapes: dict[str, tuple[int, ...]]
    absent: list[str]
    problems: list[str]

    @property
    def consistent(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        width = max(len(key) for key in [*self.shapes, *self.absent])
        lines = [f"{self.name} model, {self.batch_size} pilot runs"]
        lines += [f"  {key:<{width}}  {shape}" for key, shape in self.shapes.items()]
        lines += [f"  {key:<{width}}  none" for key in self.absent]
        return "\n".join([*lines, *(self.problems or ["consistent: the same seed gave the same, all of it finite"])])


def consistency(
    model: Callable[[int, np.random.Generator], Mapping[str, Any]], batch_size: int, seed: int
) -> Consistency:
    """Runs a generative model twice with the same seed.

    Args:
        model: model(batch_size, rng) gives the output of a GenerativeModel.
        batch_size: simulations in each run.
        seed: seed of both.
    """
    first, second = (dict(_parts(model(batch_size, np.random.default_rng(seed)))) for _ in range(2))
    present = {key: array for key, array in first.items() if array is not None}
    problems = []
    for key, array in present.items():
        if "non_batchable" not in key and array.shape[:1] != (batch_size,):
            problems.append(f"{key}: the first axis of {array.shape} is not the batch, {batch_size} here")
        if not np.isfinite(array).all():
            problems.append(f"{key}: not all of it is finite")
        elif not np.array_equal(array, second.get(key)):
            problems.append(f"{key}: the same seed gave something else: some draw does not come from rng")
    shapes = {key: array.shape for key, array in present.items()}
    return Consistency(
        getattr(model, "name", "anonymous"), batch_size, shapes, [key for key in first if key not in present], problems
    )


def _parts(output: Mapping[str, Any]) -> list[tuple[str, np.ndarray | None]]:
    """Every array of an output by its key; a dict's entries one by one."""
    parts = []
    for key, value in output.items():
        named = (
            {f"{key}[{name!r}]": entry for name, entry in value.items()} if isinstance(value, Mapping) else {key: value}
        )
        parts += [(name, None if entry is None else np.asarray(entry)) for name, entry in named.items()]
    return parts
