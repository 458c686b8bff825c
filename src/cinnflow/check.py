"""What can be known of a study before anything of it runs: `cinnflow check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cinnflow.errors import PlainError, in_one_line
from cinnflow.inference.observation import ObservationError, check_truncated_around, read_observation
from cinnflow.plan import Plan
from cinnflow.report.numbers import alike
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.padding import MASK, maximum, varying
from cinnflow.simulation.parameter_faults import parameter_faults
from cinnflow.simulation.pilot import Pilot, pilot
from cinnflow.simulation.prior import Prior
from cinnflow.store.imported import check_rows
from cinnflow.store.progress import duration
from cinnflow.store.source import Source

PILOT_SIMULATIONS = 5


def check(plan: Plan, configfile: Path, console: Console) -> int:
    """Runs the model a few times, and shows what that tells of shapes, supports and speed, and all that is wrong.

    Args:
        plan: of the study.
        configfile: the configuration, which is right as far as a plan tells.
        console: where it is shown.

    Returns:
        1 where something is wrong, else 0.

    Raises:
        PriorError, ModelError: where nothing can be run.
    """
    if plan.source:
        return _check_source(plan, plan.source, configfile, console)
    # As each job does: what the file draws at random while it is imported may differ.
    again = load_model(plan.study.model, plan.study.model_options).generative
    timeout = plan.study.simulations.timeout
    found = pilot(plan.model.generative, plan.study.seed, PILOT_SIMULATIONS, timeout, again)
    plan.model.check_quantities(found.theta)
    console.print(f"{configfile} is right. {plan.study.model}: {len(plan.model.generative.prior.names)} parameters")
    prior = plan.model.generative.prior
    table = Table(title=f"prior, {len(found.theta)} draws")
    for column in ("parameter", "support", "smallest", "median", "largest"):
        table.add_column(column, justify="left" if column in ("parameter", "support") else "right")
    for i, name in enumerate(prior.names):
        table.add_row(name, f"{prior.lower[i]:g} to {prior.upper[i]:g}", *_told_apart(found.theta[:, i]))
    console.print(table)
    for name, shape in plan.model.generative.context_shapes.items():
        console.print(f"context {name}: shape {shape}", markup=False)
    max_length = plan.model.generative.simulator.max_length
    for name, shape in found.shapes.items():
        varies = f", the first axis up to {maximum(max_length)}" if name in varying(found.shapes, max_length) else ""
        console.print(f"data {name}: shape {shape}{varies}", markup=False)
    failures: dict[str, list[str]] = {}
    for index, outcome in found.failures.items():
        failures.setdefault(f"{outcome.status.label}: {outcome.message}", []).append(str(index))
    for failure, which in failures.items():
        several = f"simulations {', '.join(which)}" if len(which) > 1 else f"simulation {which[0]}"
        console.print(f"{several} {failure}", style="red", markup=False)
    for remark in found.remarks:
        console.print(remark, markup=False, highlight=False)
    unfit = _unfit(found.theta, prior, console)
    shapes = found.shapes | plan.model.generative.context_shapes
    _remark_on_order(plan, shapes, console, varying(found.shapes, max_length))
    _remark_on_channels(plan, shapes, console, varying(found.shapes, max_length))
    problems = [*unfit, *found.problems, *_no_array(plan, found.shapes), *_unreadable(plan, found)]
    problems += _unfit_network(plan, found)
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    simulations = sum(plan.simulations(split) for split in plan.splits)
    console.print(
        f"{found.seconds:.3g} s a simulation: {simulations} take one core {duration(found.seconds * simulations)}"
    )
    if found.shapes:
        console.print(f"Training regime for that speed: {found.regime}; configured: {plan.study.training.regime}")
    return 1 if found.failures or problems else 0


def _no_array(plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What to say where a summary network would get nothing but numbers."""
    if not shapes or any(shapes.values()) or plan.study.network.summary.type == "none":
        return []
    return [
        f"a simulation gives numbers alone ({', '.join(shapes)}), and a summary network takes an array: set "
        "network.summary.type to none"
    ]


def _remark_on_order(
    plan: Plan, shapes: Mapping[str, tuple[int, ...]], console: Console, padded: Sequence[str] = ()
) -> None:
    """Says where a summary network for sets takes a vector, whose entries may each mean something of their own."""
    kind = plan.study.network.summary.type
    taken = _to_summary(shapes, padded)
    if kind not in ("deep_set", "set_transformer") or len(taken) != 1 or len(shapes[taken[0]]) > 1:
        return
    (elements,) = shapes[taken[0]]
    if elements == 1:
        return
    count = "" if padded else f"{elements} "
    other = "" if padded else ", and none takes each for a statistic of its own"
    console.print(
        f"{kind} takes the {count}numbers of {taken[0]} for exchangeable. Where it matters which is which, set "
        f"network.summary.type to another: time_series keeps their order{other}",
        markup=False,
        highlight=False,
    )


def _remark_on_channels(
    plan: Plan, shapes: Mapping[str, tuple[int, ...]], console: Console, padded: Sequence[str]
) -> None:
    """Says which arrays the summary network reads, where there are several."""
    taken = _to_summary(shapes, padded)
    beside = [name for name in shapes if name not in taken]
    if plan.study.network.summary.type == "none" or not taken or len(shapes) == 1:
        return
    together = " as channels of one" if len(taken) > 1 else ""
    past = f"; {', '.join(beside)} go past it, as they are" if beside else ""
    console.print(
        f"{plan.study.network.summary.type} reads {', '.join(taken)}{together}{past}", markup=False, highlight=False
    )


def _to_summary(shapes: Mapping[str, tuple[int, ...]], padded: Sequence[str]) -> list[str]:
    """As networks do: the first array with an axis, one that varies in length before others, and all as long."""
    first = next((shape[0] for name, shape in shapes.items() if shape and (not padded or name in padded)), None)
    return [name for name, shape in shapes.items() if shape and shape[0] == first]


def _unfit_network(plan: Plan, found: Pilot) -> list[str]:
    """What to say of a summary network of the model file's own that does not take data as they are simulated."""
    if not plan.own_network or not any(found.shapes.values()):
        return []
    # TensorFlow, for which nobody else has to wait.
    from cinnflow.training.untrained import try_on, untrained

    prior, simulator = plan.model.generative.prior, plan.model.generative.simulator
    rng, count = np.random.default_rng(plan.study.seed), 8
    shapes = found.shapes | plan.model.generative.context_shapes
    padded = varying(found.shapes, simulator.max_length)
    longest = {name: (maximum(simulator.max_length), *shape[1:]) for name, shape in shapes.items() if name in padded}
    data = {name: rng.normal(size=(count, *shape)) for name, shape in (shapes | longest).items()}
    if padded:
        most = maximum(simulator.max_length)
        data[MASK] = np.arange(most) < rng.integers(1, most + 1, (count, 1))
        data |= {name: data[MASK].sum(axis=1) for name in found.lengths}
    try:
        own = getattr(plan.model.module, plan.own_network)
        try_on(untrained(plan.study.network, prior, plan.study.seed, own), found.theta[:count], data)
    except PlainError as error:
        return [str(error)]
    except Exception as error:  # whatever a user's layer raises
        return [f"the summary network {plan.own_network} failed on data as they are simulated: {in_one_line(error)}"]
    return []


def _unreadable(plan: Plan, found: Pilot) -> list[str]:
    """What to say of observations that are not shaped like a simulation."""
    max_length = plan.model.generative.simulator.max_length
    padded = varying(found.shapes, max_length)
    shapes = {
        name: (maximum(max_length), *shape[1:]) if name in padded else shape for name, shape in found.shapes.items()
    }
    observations = {f"observation {name}": Path(path) for name, path in plan.study.observations.items()}
    around = None if plan.study.simulations.observation is None else plan.around
    if around not in {None, *observations.values()}:
        observations["simulations.observation"] = around
    problems = []
    for key, path in observations.items() if shapes else ():
        try:
            observed = read_observation(
                path,
                shapes | plan.model.generative.context_shapes,
                plan.model.read_observation,
                padded,
                found.lengths,
            )
            if path == around:
                check_truncated_around(path, observed)
        except ObservationError as error:
            problems.append(f"{key}: {error}")
    return problems


def _told_apart(draws: np.ndarray) -> list[str]:
    """The smallest, the median and the largest draw, with as many digits as they need to differ."""
    low, median, high = np.quantile(draws, [0, 0.5, 1])
    if 0 < high - low < 0.1 * max(abs(low), abs(high)):
        return [text.replace("−", "-") for text in alike(low, median, high, width=high - low)]
    return [f"{value:.4g}" for value in (low, median, high)]


def _check_source(plan: Plan, source: Source, configfile: Path, console: Console) -> int:
    counts = Counter(Status(int(code)).label for code in check_rows(source, range(source.simulations)))
    console.print(f"{configfile} is right. {source.path}: {source.simulations} simulations", highlight=False)
    for split, rows in source.splits(plan.study.simulations.test).items():
        console.print(f"{split}: rows {rows.start} to {rows.stop - 1}", highlight=False)
    for name, lower, upper in zip(source.names, source.lower, source.upper, strict=True):
        console.print(f"parameter {name}: support {lower:g} to {upper:g}", markup=False, highlight=False)
    for name, shape in source.data.items():
        console.print(f"data {name}: shape {shape}", markup=False)
    if source.unused:
        console.print(f"not used: {', '.join(source.unused)}", markup=False)
    failed = source.simulations - counts[Status.OK.label]
    if failed:
        console.print(
            f"not finite: {failed} of {source.simulations} simulations, kept as failed and never trained on",
            style="red",
        )
    theta = source.theta
    if plan.model.generative:
        plan.model.check_quantities(theta[np.isfinite(theta).all(axis=1)])
    _remark_on_order(plan, source.data, console)
    problems = [*_unfit(theta, source, console), *_no_array(plan, source.data)]
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    return 1 if problems else 0


def _unfit(theta: np.ndarray, of: Prior | Source, console: Console) -> list[str]:
    """What to say of parameters that no posterior can be trained for; remarks on others are shown at once."""
    faults, remarks = parameter_faults(theta, of.names, of.lower, of.upper)
    for remark in remarks:
        console.print(remark, markup=False, highlight=False)
    return faults
