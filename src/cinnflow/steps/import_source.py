"""Rule `import_source`: takes simulations made elsewhere into the store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.outcome import Status
from cinnflow.steps.shared.running import run_step, say
from cinnflow.store.fingerprint import digest_in_name, source_fingerprint
from cinnflow.store.imported import import_source
from cinnflow.store.layout import Store
from cinnflow.store.source import SourceError, open_source


def main() -> None:
    """Parses the arguments that the rule gives and imports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the store's folder")
    parser.add_argument("--source", type=Path, required=True, help="the HDF5 or NPZ file")
    parser.add_argument("--test", type=int, required=True, help="rows at its end that are held out")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--model", required=True, help="the model file; empty for none")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    run_step(lambda: _import(parser.parse_args()))


def _import(args: argparse.Namespace) -> None:
    store = Store(args.store)
    model = load_model(args.model, args.options)
    source = open_source(args.source, model.generative and model.generative.prior)
    meaning = source_fingerprint(source, args.test)
    if meaning.digest != digest_in_name(store.name):
        raise SourceError(f"{source.path} was changed since this run started: start snakemake again")
    for split, taken in import_source(store, source, args.test, args.batch_size, meaning.parts).items():
        failed = taken.total() - taken[Status.OK.label]
        say(f"{split}: {taken.total()} simulations imported, {failed} of them not finite")


if __name__ == "__main__":
    main()
