"""The command `cinnflow`: how a study stands, whether it can run, and what to do about failures and damage."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cinnflow.config import read_raw
from cinnflow.errors import PlainError, in_one_line
from cinnflow.inference.observation import ObservationError, read_observation
from cinnflow.plan import RESULTS, STORES, Plan
from cinnflow.report.numbers import alike
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.padding import maximum, varying
from cinnflow.simulation.parameter_faults import parameter_faults
from cinnflow.simulation.pilot import Pilot, pilot
from cinnflow.simulation.prior import Prior
from cinnflow.steps.lock import Lock, Locked
from cinnflow.store.batch import Batch
from cinnflow.store.imported import check_rows
from cinnflow.store.progress import duration, split_progress, time_of_files
from cinnflow.store.source import Source
from cinnflow.store.verify import retry, take_back, verify

PILOT_SIMULATIONS = 5


def main() -> None:
    """Parses the command line and runs one command; ends with status 1 and a plain word where that fails."""
    parser = argparse.ArgumentParser(prog="cinnflow", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in (("status", _status), ("check", _check), ("retry", _retry), ("verify", _verify)):
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        command.set_defaults(function=function)
        command.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="the study (config.yaml)")
        if name == "retry":
            command.add_argument(
                "--reason", required=True, type=_reasons, help="crashed, timed_out, not_finite, unreadable; with commas"
            )
        if name == "verify":
            command.add_argument("--repair", action="store_true", help="take damaged batches back")
    args = parser.parse_args()
    console = Console()
    try:
        plan = Plan.of(read_raw(args.configfile), str(args.configfile))
        sys.exit(args.function(plan, args, console))
    except (PlainError, Locked) as error:
        console.print(f"cinnflow: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
    except Exception as error:  # a user's function among others
        traceback.print_exc()
        console.print(f"cinnflow: {in_one_line(error)}", style="red", markup=False, highlight=False)
        sys.exit(1)


def _status(plan: Plan, _: argparse.Namespace, console: Console) -> int:
    """each split's batches and simulations: done, running, failed by reason, rate, time left"""
    table = Table(title=f"{plan.study.study}: {', '.join(str(store.path) for store in plan.stores)}")
    for column in ("split", "batches", "running", "simulations", "failed", "rate", "time left"):
        table.add_column(column, justify="left" if column in ("split", "failed") else "right")
    now = time_of_files(STORES)
    for split in plan.splits:
        size = plan.study.simulations.batch_size
        progress = split_progress(plan.store_of(split), split, plan.batches(split), size, now)
        failed = ", ".join(f"{count} {reason}" for reason, count in progress.ended.items() if reason != Status.OK.label)
        left = progress.seconds_left
        table.add_row(
            split,
            f"{progress.committed}/{progress.batches}",
            str(progress.running),
            f"{progress.done}/{plan.simulations(split)}",
            failed or "none",
            f"{progress.rate:.3g}/s" if progress.rate else "–",
            duration(left) if left else "–",
        )
    console.print(table)
    for line in plan.simulated_anew():
        console.print(line, markup=False, highlight=False)
    return 0


def _check(plan: Plan, args: argparse.Namespace, console: Console) -> int:
    """checks the configuration and runs the model a few times: shapes, supports, speed, and what that calls for"""
    if plan.source:
        return _check_source(plan, plan.source, args, console)
    found = pilot(plan.model.generative, plan.study.seed, PILOT_SIMULATIONS, plan.study.simulations.timeout)
    plan.model.check_quantities(found.theta)
    console.print(
        f"{args.configfile} is right. {plan.study.model}: {len(plan.model.generative.prior.names)} parameters"
    )
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
    for index, outcome in found.failures.items():
        console.print(f"simulation {index} {outcome.status.label}: {outcome.message}", style="red", markup=False)
    unfit = _unfit(found.theta, prior, console)
    problems = [*unfit, *found.problems, *_no_array(plan, found.shapes), *_unreadable(plan, found)]
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    simulations = sum(plan.simulations(split) for split in plan.splits)
    console.print(
        f"{found.seconds:.3g} s a simulation: {simulations} take one core {duration(found.seconds * simulations)}"
    )
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


def _unreadable(plan: Plan, found: Pilot) -> list[str]:
    """What to say of observations that are not shaped like a simulation."""
    max_length = plan.model.generative.simulator.max_length
    padded = varying(found.shapes, max_length)
    shapes = {
        name: (maximum(max_length), *shape[1:]) if name in padded else shape for name, shape in found.shapes.items()
    }
    problems = []
    for name, path in plan.study.observations.items() if shapes else ():
        try:
            read_observation(
                Path(path),
                shapes | plan.model.generative.context_shapes,
                plan.model.read_observation,
                padded,
                found.lengths,
            )
        except ObservationError as error:
            problems.append(f"observation {name}: {error}")
    return problems


def _told_apart(draws: np.ndarray) -> list[str]:
    """The smallest, the median and the largest draw, with as many digits as they need to differ."""
    low, median, high = np.quantile(draws, [0, 0.5, 1])
    if 0 < high - low < 0.1 * max(abs(low), abs(high)):
        return [text.replace("−", "-") for text in alike(low, median, high, width=high - low)]
    return [f"{value:.4g}" for value in (low, median, high)]


def _check_source(plan: Plan, source: Source, args: argparse.Namespace, console: Console) -> int:
    counts = Counter(Status(int(code)).label for code in check_rows(source, range(source.simulations)))
    console.print(f"{args.configfile} is right. {source.path}: {source.simulations} simulations", highlight=False)
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


def _retry(plan: Plan, args: argparse.Namespace, console: Console) -> int:
    """the failed simulations of some reasons run again next time"""
    if plan.source:
        console.print(
            f"the simulations were made elsewhere, so none of them can be run again: mend those that failed in "
            f"{plan.source.path}, or leave them out there, and start snakemake again",
            markup=False,
        )
        return 1
    Lock(plan.folder).acquire()
    size = plan.study.simulations.batch_size
    for split in plan.splits:
        store = plan.store_of(split)
        batches = [number for number in store.committed(split) if number < plan.batches(split)]
        again = sum(retry(Batch(store, split, number, size), args.reason, RESULTS) for number in batches)
        console.print(f"{split}: {again} simulations run again with the next snakemake", highlight=False)
    return 0


def _verify(plan: Plan, args: argparse.Namespace, console: Console) -> int:
    """checks every chunk against its manifest, or decodes it where there is none, and names what is damaged"""
    if args.repair:
        Lock(plan.folder).acquire()
    damaged = 0
    for store in plan.stores:
        for damage in verify(store, RESULTS):
            damaged += 1
            console.print(f"{damage.batch.split}, batch {damage.batch.number}: {damage.problem}", markup=False)
            if args.repair:
                take_back(damage.batch)
    if not damaged:
        console.print(f"{', '.join(str(store.path) for store in plan.stores)}: every chunk is as it should be")
    elif args.repair:
        console.print(f"{damaged} batches taken back: the next snakemake runs them again, and nothing else")
    else:
        console.print(f"{damaged} damaged batches: `cinnflow verify --repair` takes them back, so that they run again")
    return 1 if damaged and not args.repair else 0


def _reasons(text: str) -> list[Status]:
    known = {status.name.lower(): status for status in Status if status is not Status.OK} | {
        "timeout": Status.TIMED_OUT
    }
    try:
        return [known[word.strip().lower().replace(" ", "_")] for word in text.split(",")]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"{error.args[0]!r}: takes {', '.join(known)}, with commas between") from error


if __name__ == "__main__":
    main()
