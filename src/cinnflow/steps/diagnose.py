"""Rules `sbc`, `recovery`, `contraction`, ...: computes one diagnostic, a table and a figure."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.diagnostics import style
from cinnflow.diagnostics.table_file import read_table
from cinnflow.inference.draws import read_draws
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.padding import MASK
from cinnflow.steps.shared.running import run_step
from cinnflow.steps.shared.tables import write_table
from cinnflow.steps.shared.training_record import read_training_record
from cinnflow.store.manifest import read_manifest
from cinnflow.store.reader import read_failures
from cinnflow.store.stored_simulations import read_simulations


def main() -> None:
    """Parses the arguments that the rule gives and computes the diagnostic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("diagnostic", help="name of the module in cinnflow.diagnostics")
    parser.add_argument("--settings", type=json.loads, default={}, help="keyword arguments of its compute(), as JSON")
    parser.add_argument("--draws", type=Path, help="the draws artifact, for a diagnostic of posterior draws")
    parser.add_argument("--histories", type=Path, nargs="*", help="histories of training, for the losses")
    parser.add_argument("--stores", type=Path, help="the folder of all stores")
    parser.add_argument("--manifests", type=Path, nargs="*", help="manifests of splits, for where simulations fail")
    parser.add_argument("--data", type=Path, help="the manifest of the split that the draws are of, for its raw data")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _diagnose(parser.parse_args()))


def _diagnose(args: argparse.Namespace) -> None:
    module = importlib.import_module(f"cinnflow.diagnostics.{args.diagnostic}")
    offered = _offered(args)
    wanted = {name: offered[name] for name in inspect.signature(module.compute).parameters if name in offered}
    table = module.compute(**wanted, **args.settings)
    write_table(args.table, table)
    style.save(module.plot(table), args.figure)


def _offered(args: argparse.Namespace) -> dict[str, Any]:
    """What a diagnostic may compute from, by the names that the arguments of its compute() have."""
    offered: dict[str, Any] = {}
    if args.histories:
        offered["histories"] = {_fit_name(path): read_table(path) for path in args.histories}
        records = {_fit_name(path): read_training_record(path) for path in args.histories}
        offered["endings"] = {fit: record["ended"] for fit, record in records.items() if "ended" in record}
    if args.manifests:
        splits = [read_failures(args.stores, read_manifest(path)) for path in args.manifests]
        offered["names"] = splits[0].names
        offered["theta"] = np.concatenate([split.theta for split in splits])
        offered["status"] = [Status(code).label for split in splits for code in split.status]
    if args.draws:
        found = read_draws(args.draws)
        offered |= {name: getattr(found, name) for name in ("draws", "truths", "names", "log_prob", "latent")}
        offered["members"] = len(found.fits)
    if args.data:
        simulations = read_simulations(args.stores, [read_manifest(args.data)])
        offered["data"] = {**simulations.data, **simulations.context}
        offered["contexts"] = dict(simulations.context)
        if MASK in simulations.conditions:
            there = simulations.conditions[MASK].reshape(len(simulations), -1)
            offered["contexts"]["number of elements"] = there.sum(axis=1)
    return offered


def _fit_name(history: Path) -> str:
    """`round 0, member 0` from .../round-0/member-0/history.csv."""
    parts = [part for part in history.parts if part.startswith(("round-", "member-"))]
    return ", ".join(part.replace("-", " ") for part in parts)


if __name__ == "__main__":
    main()
