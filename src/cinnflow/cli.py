"""The command `cinnflow`: how a study stands, whether it can run, and what to do about failures and damage."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cinnflow.check import check
from cinnflow.config import read_raw
from cinnflow.errors import PlainError, in_one_line
from cinnflow.lock import Lock, Locked
from cinnflow.plan import RESULTS, STORES, Plan
from cinnflow.simulation.outcome import Status
from cinnflow.store.layout import Batch, Store
from cinnflow.store.progress import rough_duration, split_progress, time_of_files
from cinnflow.store.seal import mend_metadata
from cinnflow.store.usual_shape import settle_shape
from cinnflow.store.verify import retry, take_back, verify


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
    plan.check_batch_size()
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
            rough_duration(left) if left else "–",
        )
    console.print(table)
    for line in plan.simulated_anew():
        console.print(line, markup=False, highlight=False)
    return 0


def _check(plan: Plan, args: argparse.Namespace, console: Console) -> int:
    """checks the configuration and runs the model a few times: shapes, supports, speed, and what that calls for"""
    return check(plan, args.configfile, console)


def _retry(plan: Plan, args: argparse.Namespace, console: Console) -> int:
    """the failed simulations of some reasons run again next time"""
    if plan.source:
        console.print(
            f"the simulations were made elsewhere, so none of them can be run again: mend those that failed in "
            f"{plan.source.path}, or leave them out there, and start snakemake again",
            markup=False,
        )
        return 1
    plan.check_batch_size()
    Lock(plan.folder).acquire()
    size, model = plan.study.simulations.batch_size, plan.model.generative
    if Status.UNREADABLE in args.reason:
        for store in plan.stores:
            if said := settle_shape(store, model, RESULTS):
                console.print(said, markup=False, highlight=False)
    for split in plan.splits:
        store = plan.store_of(split)
        batches = [number for number in store.committed(split) if number < plan.batches(split)]
        again = sum(retry(Batch(store, split, number, size), args.reason, RESULTS, model) for number in batches)
        console.print(f"{split}: {again} simulations run again with the next snakemake", highlight=False)
    return 0


def _verify(plan: Plan, args: argparse.Namespace, console: Console) -> int:
    """checks every chunk against its manifest, or decodes it where there is none, and names what is damaged"""
    if args.repair:
        Lock(plan.folder).acquire()
    damaged = 0
    stores = [*plan.stores, *map(Store, sorted(plan.folder.glob("observations/*/predictive-*.zarr")))]
    for store in stores:
        for damage in verify(store, RESULTS):
            damaged += 1
            console.print(f"{damage.batch.split}, batch {damage.batch.number}: {damage.problem}", markup=False)
            if args.repair:
                take_back(damage.batch)
    for split in plan.splits if args.repair else ():
        if mend_metadata(plan.store_of(split), split, RESULTS):
            console.print(f"{split}: what makes it Zarr was gone or damaged, and is there again", markup=False)
    if not damaged:
        console.print(f"{', '.join(str(store.path) for store in stores)}: every chunk is as it should be")
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
