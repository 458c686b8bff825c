"""Rule `simulate`: runs one batch of simulations and commits it to the store."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cinnflow.simulation.model_file import Model, ModelError, load_model
from cinnflow.simulation.workers import Limits
from cinnflow.steps.common import run_step, say
from cinnflow.store.batch import Batch, run_batch
from cinnflow.store.fingerprint import Fingerprint, digest_of, fingerprint
from cinnflow.store.layout import Store
from cinnflow.store.manifest import withdraw_stale
from cinnflow.store.progress import progress_line
from cinnflow.store.proposal import read_proposal, read_theta


def main() -> None:
    """Parses the arguments that the rule gives and runs the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_simulation_arguments(parser)
    parser.add_argument("--batches", type=json.loads, required=True, help="batches wanted of each split, as JSON")
    parser.add_argument("--keep-failed", type=int, required=True)
    run_step(lambda: _simulate(parser.parse_args()))


def add_simulation_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which batch to run, of which model, and how."""
    parser.add_argument("--store", type=Path, required=True, help="the store's folder")
    parser.add_argument("--split", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--timeout", type=json.loads, required=True, help="seconds, or null")
    parser.add_argument("--attempts", type=int, required=True)


def load_unedited(args: argparse.Namespace, store_name: str) -> tuple[Model, Fingerprint]:
    """Loads the model that a batch is of, and what its simulations mean.

    Args:
        args: the arguments of `add_simulation_arguments`.
        store_name: name of the store that the model's simulations had when the run was planned.

    Raises:
        ModelError: when the model has come to mean something else since then.
    """
    model = load_model(args.model, args.options)
    meaning = fingerprint(model, args.options, args.seed)
    if meaning.digest != digest_of(store_name):
        raise ModelError(
            f"{args.model} means other simulations than when this run started, {meaning.digest} instead of those in "
            f"{store_name}: it was edited while jobs ran. Start snakemake again; what is finished is kept"
        )
    return model, meaning


def _simulate(args: argparse.Namespace) -> None:
    store = Store(args.store)
    proposal = read_proposal(store)
    model, meaning = load_unedited(args, proposal.prior if proposal else store.name)
    parts = proposal.fingerprint if proposal else meaning.parts
    batch = Batch(store, args.split, args.batch, args.batch_size)
    limits = Limits(args.threads, args.timeout, args.attempts, args.keep_failed)
    theta = read_theta(store, batch.split, batch.indices) if proposal else None
    run_batch(batch, model.generative, args.seed, parts, limits, theta)
    for path in withdraw_stale(store.path.parent.parent, batch):
        say(
            f"cinnflow: {batch.split}, batch {batch.number} came out differently than when {path} was written, which "
            "is gone now: start snakemake again, and it makes anew what depends on it"
        )
    say(progress_line(batch, args.batches[args.split]))


if __name__ == "__main__":
    main()
