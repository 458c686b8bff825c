"""Rule `simulate`: runs one batch of simulations and commits it to the store."""

from __future__ import annotations

import argparse
import json

from cinnflow.simulation.workers import Limits
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.unedited import add_simulation_arguments, load_unedited
from cinnflow.store.batch import run_batch
from cinnflow.store.layout import Batch, Store
from cinnflow.store.manifest import withdraw_stale
from cinnflow.store.progress import progress_line
from cinnflow.store.proposal import read_proposal, read_theta
from cinnflow.store.seal import mend_metadata


def main() -> None:
    """Parses the arguments that the rule gives and runs the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_simulation_arguments(parser)
    parser.add_argument("--batches", type=json.loads, required=True, help="batches wanted of each split, as JSON")
    parser.add_argument("--keep-failed", type=int, required=True)
    run_step(lambda: _simulate(parser.parse_args()))


def _simulate(args: argparse.Namespace) -> None:
    store = Store(args.store)
    proposal = read_proposal(store)
    model, meaning = load_unedited(args, proposal.prior if proposal else store.name)
    parts = proposal.fingerprint if proposal else meaning.parts
    batch = Batch(store, args.split, args.batch, args.batch_size)
    limits = Limits(args.threads, args.timeout, args.attempts, args.keep_failed)
    theta = read_theta(store, batch.split, batch.indices) if proposal else None
    run_batch(batch, model.generative, args.seed, parts, limits, theta)
    results = store.path.parent.parent
    for path in withdraw_stale(results, batch):
        say(
            f"cinnflow: {batch.split}, batch {batch.number} came out differently than when {path} was written, which "
            "is gone now: start snakemake again, and it makes anew what depends on it"
        )
    mend_metadata(store, batch.split, results)
    say(progress_line(batch, args.batches[args.split]))


if __name__ == "__main__":
    main()
