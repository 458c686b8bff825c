"""What can be known of a study's summary network before anything is simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console

from cinnflow.errors import PlainError, in_one_line
from cinnflow.plan import Plan
from cinnflow.simulation.padding import MASK

_DATA_SETS = 8
"""That a network of the model file's own is tried on."""

Shapes = Mapping[str, tuple[int, ...]]


def check_network(
    plan: Plan, shapes: Shapes, padded: Sequence[str], lengths: Sequence[str], theta: np.ndarray, console: Console
) -> list[str]:
    """Shows what the summary network reads of the data, and finds what is wrong with that.

    Args:
        plan: of the study.
        shapes: shape of each array and context of one simulation, by name, those that vary as long as they can be.
        padded: names of those that vary.
        lengths: names of contexts that are their length.
        theta: parameters (n, parameters) to try a network on.
        console: where remarks are shown.

    Returns:
        What is wrong, in sentences.
    """
    kind = plan.study.network.summary.type
    if kind == "none":
        return []
    if not any(shapes.values()):
        return [
            f"a simulation gives numbers alone ({', '.join(shapes)}), and a summary network takes an array: set "
            "network.summary.type to none"
        ]
    # As networks do: the first array with an axis, one that varies in length before others, and all that are as long.
    first = next((shape[0] for name, shape in shapes.items() if shape and (not padded or name in padded)), None)
    taken = [name for name, shape in shapes.items() if shape[:1] == (first,) and name != MASK]
    if not taken:  # max_length names no array that there is, which each simulation's failure tells
        return []
    _remark_on_channels(kind, shapes, taken, console)
    _remark_on_order(kind, {name: shapes[name] for name in taken}, bool(padded), console)
    return _unfit(plan, shapes, padded, lengths, theta) if plan.own_network else []


def _remark_on_channels(kind: str, shapes: Shapes, taken: Sequence[str], console: Console) -> None:
    """Says which arrays the network reads, where there are several."""
    shapes = {name: shape for name, shape in shapes.items() if name != MASK}
    if len(shapes) == 1:
        return
    together = " as channels of one" if len(taken) > 1 else ""
    beside = [name for name in shapes if name not in taken]
    past = f"; {', '.join(beside)} go past it, as they are" if beside else ""
    console.print(f"{kind} reads {', '.join(taken)}{together}{past}", markup=False, highlight=False)


def _remark_on_order(kind: str, taken: Shapes, varies: bool, console: Console) -> None:
    """Says where a network for sets takes data whose entries, or rows, may each mean something of their own."""
    elements = next(iter(taken.values()))[0]
    if kind not in ("deep_set", "set_transformer") or elements == 1:
        return
    numbers = all(shape[1:] in ((), (1,)) for shape in taken.values())
    count = "" if varies else f"{elements} "
    if not numbers:
        other = ", and a class of the model file may read an image"
    else:
        other = "" if varies else ", and none takes each for a statistic of its own"
    console.print(
        f"{kind} takes the {count}{'numbers' if numbers else 'rows'} of {', '.join(taken)} for exchangeable. Where it "
        f"matters which is which, set network.summary.type to another: time_series keeps their order{other}",
        markup=False,
        highlight=False,
    )


def _unfit(plan: Plan, shapes: Shapes, padded: Sequence[str], lengths: Sequence[str], theta: np.ndarray) -> list[str]:
    """What to say of a network of the model file's own that does not take data of these shapes."""
    # TensorFlow, for which nobody else has to wait.
    from cinnflow.training.untrained import try_on, untrained

    rng = np.random.default_rng(plan.study.seed)
    data = {name: rng.normal(size=(_DATA_SETS, *shape)) for name, shape in shapes.items()}
    if padded:
        most = shapes[padded[0]][0]
        data[MASK] = np.arange(most) < rng.integers(1, most + 1, (_DATA_SETS, 1))
        data |= {name: data[MASK].sum(axis=1) for name in lengths}
    own = getattr(plan.model.module, plan.own_network)
    about = plan.source or plan.model.generative.prior
    try:
        try_on(untrained(plan.study.network, about, plan.study.seed, own), theta[:_DATA_SETS], data)
    except PlainError as error:
        return [str(error)]
    except Exception as error:  # whatever a user's layer raises
        return [f"the summary network {plan.own_network} failed on data as they are simulated: {in_one_line(error)}"]
    return []
