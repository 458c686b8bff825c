"""What can be known of a study before anything of it runs: `cinnflow check`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cinnflow.check_network import check_network
from cinnflow.check_observations import check_observations
from cinnflow.plan import Plan
from cinnflow.report.numbers import alike
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.opened_files import OpenedFiles
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.padding import maximum, varying
from cinnflow.simulation.parameter_faults import parameter_faults
from cinnflow.simulation.pilot import pilot
from cinnflow.simulation.prior import Prior
from cinnflow.store.held_out_rows import check_held_out
from cinnflow.store.imported import check_rows
from cinnflow.store.progress import rough_duration
from cinnflow.store.source import Source

PILOT_SIMULATIONS = 5
_NAMED = 5
"""Files that a remark names at most."""


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
    with OpenedFiles([plan.model.path.parent, Path("data")]) as opened:
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
    padded = varying(found.shapes, max_length)
    for name, shape in found.shapes.items():
        varies = f", the first axis up to {maximum(max_length)}" if name in padded else ""
        console.print(f"data {name}: shape {shape}{varies}", markup=False)
    failures: dict[str, list[str]] = {}
    for index, outcome in found.failures.items():
        failures.setdefault(f"{outcome.status.label}: {outcome.message}", []).append(str(index))
    for failure, which in failures.items():
        several = f"simulations {', '.join(which)}" if len(which) > 1 else f"simulation {which[0]}"
        console.print(f"{several} {failure}", style="red", markup=False)
    for remark in [*found.remarks, *_unwatched(plan, opened.files)]:
        console.print(remark, markup=False, highlight=False)
    for name, values in plan.model.derived_quantities(found.theta).items():
        if (missing := np.mean(~np.isfinite(values))) > 0:
            console.print(
                f"{name} of derived_quantities() is not finite for {missing:.2g} of the prior's draws: "
                "where that is so for any draw, it is left out",
                markup=False,
                highlight=False,
            )
    unfit = _unfit(found.theta, prior, console)
    problems = [*unfit, *found.problems]
    if found.shapes:
        longest = {n: (maximum(max_length), *s[1:]) if n in padded else s for n, s in found.shapes.items()}
        contexts = plan.model.generative.context_shapes
        problems += check_network(plan, longest | contexts, padded, found.lengths, found.theta, console)
        problems += check_observations(plan, longest, contexts, padded, found.lengths, console)
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    simulations = sum(plan.simulations(split) for split in plan.splits)
    console.print(
        f"{found.seconds:.3g} s a simulation: {simulations} take one core {rough_duration(found.seconds * simulations)}"
    )
    if found.shapes:
        console.print(f"Training regime for that speed: {found.regime}; configured: {plan.study.training.regime}")
    return 1 if found.failures or problems else 0


def _unwatched(plan: Plan, opened: set[Path]) -> list[str]:
    """What to say of files that trial simulations opened, and that are no part of what they mean."""
    folder = plan.model.path.parent
    known = {(folder / part.partition(": ")[2]).resolve() for part in plan.fingerprint.parts}
    known |= {Path(named) for named in getattr(plan.model.generative.simulator, "undeclared", ())}  # told already
    names = sorted(os.path.relpath(file, folder) for file in opened - known - {plan.model.path} if file.is_file())
    if not names:
        return []
    several = f"{', '.join(names[:_NAMED])}{' and others' if len(names) > _NAMED else ''}"
    return [
        f"simulations read {several}: an edit would not be noticed, and its simulations would join those of before. "
        "Name what they depend on in files=[...]"
    ]


def _told_apart(draws: np.ndarray) -> list[str]:
    """The smallest, the median and the largest draw, with as many digits as they need to differ."""
    low, median, high = np.quantile(draws, [0, 0.5, 1])
    if 0 < high - low < 0.1 * max(abs(low), abs(high)):
        return [text.replace("−", "-") for text in alike(low, median, high, width=high - low)]
    return [f"{value:.4g}" for value in (low, median, high)]


def _check_source(plan: Plan, source: Source, configfile: Path, console: Console) -> int:
    check_held_out(source, plan.study.simulations.test)
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
    finite = theta[np.isfinite(theta).all(axis=1)]
    if plan.model.generative:
        plan.model.check_quantities(finite)
    problems = _unfit(theta, source, console)
    problems += check_network(plan, source.data, (), (), finite, console)
    problems += check_observations(plan, source.data, {}, (), (), console)
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    return 1 if problems else 0


def _unfit(theta: np.ndarray, of: Prior | Source, console: Console) -> list[str]:
    """What to say of parameters that no posterior can be trained for; remarks on others are shown at once."""
    faults, remarks = parameter_faults(theta, of.names, of.lower, of.upper)
    for remark in remarks:
        console.print(remark, markup=False, highlight=False)
    return faults
