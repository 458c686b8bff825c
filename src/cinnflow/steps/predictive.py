"""Rule `predictive`: the predictive checks of an observation, and the file of its whole posterior."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import predictive, style
from cinnflow.inference.export import is_repeated, predictive_rows, read_first, write_inference_data
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.outcome import Status
from cinnflow.steps.shared.running import run_step, say
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.layout import Batch, Store, StoreError, place


def main() -> None:
    """Parses the arguments that the rule gives and checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the store of the predictive simulations")
    parser.add_argument("--split", required=True)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--draws", type=Path, required=True, help="the observation's draws.nc")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--prior-figure", type=Path, required=True, help="likewise, for the prior")
    parser.add_argument("--posterior", type=Path, required=True, help="the .nc file to write")
    run_step(lambda: _check(parser.parse_args()))


def _check(args: argparse.Namespace) -> None:
    store = Store(args.store)
    description = read_description(store)
    try:
        batches = [
            decode_batch(Batch(store, args.split, number, args.batch_size), description)
            for number in range(args.batches)
        ]
    except StoreError as error:
        raise StoreError(
            f"{error}. `cinnflow verify --repair`, for this study, takes that batch back, and the next snakemake runs "
            "it again"
        ) from error
    ok = np.concatenate([batch["status"] for batch in batches]) == Status.OK
    observed, prior = (read_first(args.draws, group) for group in ("observed_data", "prior_predictive"))
    if not ok.all():
        say(f"{np.sum(~ok)} of {len(ok)} failed: their reasons stand in {store.path}/{args.split}/message")
    if description is None:  # all of them have failed, so that nothing tells their shapes
        simulated = {name: np.full((len(ok), *values.shape), np.nan) for name, values in observed.items()}
    else:
        simulated = {name: np.concatenate([batch[f"data/{name}"] for batch in batches]) for name in description.data}
    shown = dict(simulated)
    for name in description.padded if description else ():
        length = int(np.isfinite(observed[name]).reshape(len(observed[name]), -1).all(axis=1).sum())
        observed[name], shown[name] = observed[name][:length], simulated[name][:, :length]
        simulated[name][:, length:] = np.nan
    repeated = is_repeated(np.arange(len(ok)))
    # Simulations from the prior that are as long as the observation, where lengths vary: there may be none.
    enough = min(len(values) for values in prior.values()) >= 2
    labels = load_model(args.model, args.options).labels
    spread, same = ({name: values[kind] for name, values in shown.items()} for kind in (~repeated, repeated))
    table = predictive.compute(spread, observed, same, prior if enough else None, labels)
    place(args.table, table.to_csv(index=False).encode(), args.table.with_suffix(".temporary"))
    style.save(predictive.plot(table), args.figure)
    style.save(predictive.plot_prior(table), args.prior_figure)
    draws = len(next(iter(read_first(args.draws, "posterior").values())))
    kept = np.flatnonzero(ok & ~repeated)
    rows, first = np.unique(predictive_rows(kept, draws), return_index=True)
    kept_data = {name: values[kept[first]] for name, values in simulated.items()}
    write_inference_data(args.posterior, args.draws, (rows, kept_data) if len(rows) else None, labels)


if __name__ == "__main__":
    main()
