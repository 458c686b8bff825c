"""Rule `predictive`: the posterior predictive check of an observation, a table and a figure."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import predictive, style
from cinnflow.inference.observation import read_observation
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.padding import MASK
from cinnflow.steps.common import run_step
from cinnflow.store.batch import Batch, decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.layout import Store, StoreError, place


def main() -> None:
    """Parses the arguments that the rule gives and checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the store of the predictive simulations")
    parser.add_argument("--split", required=True)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--observation", type=Path, required=True, help="the file of observed data")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    run_step(lambda: _check(parser.parse_args()))


def _check(args: argparse.Namespace) -> None:
    store = Store(args.store)
    description = read_description(store)
    if description is None:
        raise StoreError(
            f"every predictive simulation failed: their reasons stand in {store.path}/{args.split}/message"
        )
    batches = [
        decode_batch(Batch(store, args.split, number, args.batch_size), description) for number in range(args.batches)
    ]
    simulated = {name: np.concatenate([batch[f"data/{name}"] for batch in batches]) for name in description.data}
    reader = load_model(args.model, args.options).read_observation
    observed = read_observation(args.observation, description.data_signature, reader, padded=description.padded)
    first = {name: values[0] for name, values in observed.items()}
    there = first.pop(MASK, None)
    for name in description.padded:
        length = len(first[name]) if there is None else int(there.sum())
        first[name], simulated[name] = first[name][:length], simulated[name][:, :length]
    table = predictive.compute(simulated, first)
    place(args.table, table.to_csv(index=False).encode(), args.table.with_suffix(".temporary"))
    style.save(predictive.plot(table), args.figure)


if __name__ == "__main__":
    main()
