"""Rule `predict`: simulates a batch with parameters drawn from an observation's posterior."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cinnflow.inference.export import read_first
from cinnflow.inference.predictive_draws import predictive_rows
from cinnflow.simulation.workers import Limits
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.unedited import add_simulation_arguments, load_unedited
from cinnflow.store.batch import run_batch
from cinnflow.store.layout import Batch, Store


def main() -> None:
    """Parses the arguments that the rule gives and runs the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_simulation_arguments(parser)
    parser.add_argument("--meaning", required=True, help="name of the store of the study's simulations")
    parser.add_argument("--draws", type=Path, required=True, help="the observation's draws.nc")
    run_step(lambda: _predict(parser.parse_args()))


def _predict(args: argparse.Namespace) -> None:
    model, meaning = load_unedited(args, args.meaning)
    batch = Batch(Store(args.store), args.split, args.batch, args.batch_size)
    posterior = read_first(args.draws, "posterior")
    draws = np.stack([posterior[name] for name in model.generative.prior.names], axis=-1)
    # Simulations are of the contexts that the observation has.
    context = read_first(args.draws, "constant_data") if model.generative.context_shapes else None
    rows = predictive_rows(np.array(batch.indices), len(draws))
    limits = Limits(args.threads, args.timeout, args.attempts)
    run_batch(batch, model.generative, args.seed, meaning.parts, limits, theta=draws[rows], context=context)
    say(f"{args.split}: batch {args.batch} done")


if __name__ == "__main__":
    main()
