"""Rule `predict`: simulates a batch with parameters drawn from an observation's posterior."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from cinnflow.simulation.workers import Limits
from cinnflow.steps.common import run_step, say
from cinnflow.steps.simulate import add_simulation_arguments, load_unedited
from cinnflow.store.batch import Batch, run_batch
from cinnflow.store.layout import Store


def main() -> None:
    """Parses the arguments that the rule gives and runs the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_simulation_arguments(parser)
    parser.add_argument("--meaning", required=True, help="name of the store of the study's simulations")
    parser.add_argument("--simulations", type=int, required=True, help="predictive simulations in all batches")
    parser.add_argument("--posterior", type=Path, required=True, help="the observation's posterior.nc")
    run_step(lambda: _predict(parser.parse_args()))


def _predict(args: argparse.Namespace) -> None:
    model, meaning = load_unedited(args, args.meaning)
    batch = Batch(Store(args.store), args.split, args.batch, args.batch_size)
    with xr.open_dataset(args.posterior, group="posterior", engine="h5netcdf") as posterior:
        first = posterior.isel(chain=0, data_set=0, missing_dims="ignore")
        draws = np.stack([first[name].to_numpy() for name in model.generative.prior.names], axis=-1)
    context = _context(args.posterior) if model.generative.context_shapes else None
    # Evenly spaced draws, which are independent of each other; each batch has its own.
    rows = (np.array(batch.indices) * len(draws)) // args.simulations % len(draws)
    limits = Limits(args.threads, args.timeout, args.attempts)
    run_batch(batch, model.generative, args.seed, meaning.parts, limits, theta=draws[rows], context=context)
    say(f"{args.split}: batch {args.batch} done")


def _context(path: Path) -> dict[str, np.ndarray]:
    """The contexts of the first data set, by name: simulations are of the same."""
    with xr.open_dataset(path, group="constant_data", engine="h5netcdf") as contexts:
        first = contexts.isel(data_set=0, missing_dims="ignore")
        return {str(name): values.to_numpy() for name, values in first.data_vars.items()}


if __name__ == "__main__":
    main()
