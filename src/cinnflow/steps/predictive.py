"""Rule `predictive`: the predictive checks of an observation, and the file of its whole posterior."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.diagnostics import predictive, style
from cinnflow.inference.export import read_first, write_inference_data
from cinnflow.inference.lengths import cut_alike, ended_alike
from cinnflow.inference.predictive_draws import is_repeated, one_for_each_draw
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.padding import MASK
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.tables import write_table
from cinnflow.store.layout import Store
from cinnflow.store.unsealed import read_unsealed


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
    found = read_unsealed(store, args.split, args.batches, args.batch_size)
    observed, prior = (read_first(args.draws, group) for group in ("observed_data", "prior_predictive"))
    count = len(found.ok)
    if not found.ok.all():
        say(f"{np.sum(~found.ok)} of {count} failed: their reasons stand in {store.path}/{args.split}/message")
    simulated = found.data or {name: np.full((count, *values.shape), np.nan) for name, values in observed.items()}
    shown, seen = cut_alike(simulated, observed, found.padded)
    repeated = is_repeated(np.arange(count))
    spread, same = ({name: values[kind] for name, values in shown.items()} for kind in (~repeated, repeated))
    # Simulations from the prior that are as long as the observation, where lengths vary: there may be none.
    enough = min(len(values) for values in prior.values()) >= 2
    labels = load_model(args.model, args.options).labels
    table = predictive.compute(spread, seen, same, prior if enough else None, labels, MASK)
    write_table(args.table, table)
    style.save(predictive.plot(table), args.figure)
    style.save(predictive.plot_prior(table), args.prior_figure)
    draws = len(next(iter(read_first(args.draws, "posterior").values())))
    rows, kept = one_for_each_draw(found.ok, draws)
    ended = ended_alike(simulated, observed, found.padded)
    kept_data = {name: values[kept] for name, values in ended.items()}
    write_inference_data(args.posterior, args.draws, (rows, kept_data) if len(rows) else None, labels)


if __name__ == "__main__":
    main()
