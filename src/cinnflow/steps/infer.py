"""Rule `infer`: the posterior of an observation, as a file and a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.inference.export import posterior_table, write_inference_data
from cinnflow.inference.observation import read_observation
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.padding import MASK
from cinnflow.steps.common import run_step, say
from cinnflow.store.layout import place
from cinnflow.store.reader import read_simulations
from cinnflow.store.seal import read_manifest


def main() -> None:
    """Parses the arguments that the rule gives and infers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=Path, required=True, help="the folder of all stores")
    parser.add_argument("--manifest", type=Path, required=True, help="of a split from the prior")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="the .keras file of each member")
    parser.add_argument("--model", required=True, help="the model file; empty for none")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--study", required=True, help="the study's name")
    parser.add_argument("--observation", type=Path, required=True, help="the file of observed data")
    parser.add_argument("--draws", type=int, required=True, help="posterior draws for each data set")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--posterior", type=Path, required=True, help="the .nc file to write")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    parser.add_argument("--summaries", type=Path, required=True, help="the .npy file to write")
    run_step(lambda: _infer(parser.parse_args()))


def _infer(args: argparse.Namespace) -> None:
    model = load_model(args.model, args.options)
    manifest = read_manifest(args.manifest)
    simulations = read_simulations(args.stores, [manifest])
    observed = read_observation(
        args.observation,
        simulations.shapes,
        model.read_observation,
        padded=simulations.padded,
        lengths=simulations.length_contexts,
    )

    # TensorFlow takes seconds to import: wrong arguments and unreadable observations are told before.
    from cinnflow.inference.load import load_members
    from cinnflow.training.device import use_device

    use_device(args.threads)
    posterior = load_members(args.fits)
    theta = posterior.sample(observed, args.draws, seed=args.seed)
    draws = {name: theta[..., i] for i, name in enumerate(simulations.names)} | model.derived_quantities(theta)
    # Simulations that succeeded: the prior that the network has learned from.
    prior = {name: simulations.theta[:, i] for i, name in enumerate(simulations.names)}
    prior |= model.derived_quantities(simulations.theta)
    about = {"study": args.study, "simulations": manifest.store, "inference_library": "cinnflow"}
    contexts = {name: observed[name] for name in simulations.context}
    data = {name: observed[name] for name in simulations.data}
    if MASK in observed:
        for name in simulations.padded:
            data[name][~observed[MASK]] = np.nan
    write_inference_data(args.posterior, draws, prior, data, about, contexts)
    table = posterior_table(draws, prior).to_csv(index=False)
    place(args.table, table.encode(), args.table.with_suffix(".temporary"))
    np.save(args.summaries, posterior.conditions(observed))
    say(f"{args.observation}: posterior of {len(theta)} data sets, {args.draws} draws each")


if __name__ == "__main__":
    main()
