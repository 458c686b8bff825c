"""Rules `sbc`, `recovery`, `contraction`, ...: computes one diagnostic, a table and a figure."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import style
from cinnflow.diagnostics.table_file import read_table
from cinnflow.inference.draws import read_draws
from cinnflow.simulation.outcome import Status
from cinnflow.steps.common import run_step
from cinnflow.store.layout import place
from cinnflow.store.manifest import read_manifest
from cinnflow.store.reader import read_failures, read_simulations


def main() -> None:
    """Parses the arguments that the rule gives and computes the diagnostic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("diagnostic", help="name of the module in cinnflow.diagnostics")
    parser.add_argument("--settings", type=json.loads, default={}, help="keyword arguments of its compute(), as JSON")
    parser.add_argument("--draws", type=Path, help="the draws artifact, for a diagnostic of posterior draws")
    parser.add_argument("--histories", type=Path, nargs="*", help="histories of training, for the losses")
    parser.add_argument("--stores", type=Path, help="the folder of all stores, for failures and raw data")
    parser.add_argument("--manifests", type=Path, nargs="*", help="manifests of splits, for failures and raw data")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _diagnose(parser.parse_args()))


def _diagnose(args: argparse.Namespace) -> None:
    module = importlib.import_module(f"cinnflow.diagnostics.{args.diagnostic}")
    if args.histories:
        histories = {_fit_name(path): read_table(path) for path in args.histories}
        table = module.compute(histories, **args.settings)
    elif args.manifests and not args.draws:
        splits = [read_failures(args.stores, read_manifest(path)) for path in args.manifests]
        theta, status = (np.concatenate([getattr(split, name) for split in splits]) for name in ("theta", "status"))
        table = module.compute(theta, [Status(code).label for code in status], splits[0].names, **args.settings)
    else:
        found = read_draws(args.draws)
        if args.diagnostic == "latent":
            table = module.compute(found.latent, members=len(found.fits), **args.settings)
        elif args.diagnostic == "scores":
            table = module.compute(found.draws, found.truths, found.names, log_prob=found.log_prob, **args.settings)
        elif args.manifests:
            data = _flat(args.stores, args.manifests)
            table = module.compute(found.draws, found.truths, found.names, data=data, **args.settings)
        else:
            table = module.compute(found.draws, found.truths, found.names, **args.settings)
    place(args.table, table.to_csv(index=False).encode(), args.table.with_suffix(".temporary"))
    style.save(module.plot(table), args.figure)


def _flat(stores: Path, manifests: Sequence[Path]) -> np.ndarray:
    """Data and contexts of each simulation in a row (simulations, entries), in the order of the draws."""
    found = read_simulations(stores, [read_manifest(path) for path in manifests])
    arrays = {**found.data, **found.context}.values()
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def _fit_name(history: Path) -> str:
    """`round 0, member 0` from .../round-0/member-0/history.csv."""
    parts = [part for part in history.parts if part.startswith(("round-", "member-"))]
    return ", ".join(part.replace("-", " ") for part in parts)


if __name__ == "__main__":
    main()
