"""Rule `infer`: the posterior of an observation, as a file and a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cinnflow.imports import quick_imports
from cinnflow.inference.export import draws_each, posterior_table, write_draws
from cinnflow.inference.lengths import length_of_first, nan_behind
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.seeds import posterior_seed
from cinnflow.steps.shared.derived import finite_everywhere
from cinnflow.steps.shared.observed import read_observed
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.tables import write_table
from cinnflow.store.manifest import read_manifest
from cinnflow.store.stored_simulations import read_simulations


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
    parser.add_argument("--draws-in-all", type=int, required=True, help="the most of them for all data sets together")
    parser.add_argument("--prior-predictive", type=int, required=True, help="simulations from the prior to keep")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the .nc file to write")
    parser.add_argument("--table", type=Path, required=True, help="the CSV to write")
    run_step(lambda: _infer(parser.parse_args()))


def _infer(args: argparse.Namespace) -> None:
    model = load_model(args.model, args.options)
    manifest = read_manifest(args.manifest)
    simulations = read_simulations(args.stores, [manifest])
    observed = read_observed(args.observation, simulations, model)

    # TensorFlow takes seconds to import: wrong arguments and unreadable observations are told before.
    with quick_imports():
        from cinnflow.inference.load import load_members
        from cinnflow.networks.device import use_device

    use_device(args.threads)
    data_sets = len(next(iter(observed.values())))
    draws_of_each = draws_each(data_sets, args.draws, args.draws_in_all)
    if draws_of_each < args.draws:
        say(
            f"{args.observation}: {draws_of_each} draws for each of {data_sets} data sets, not {args.draws}: "
            f"posterior.draws_in_all is {args.draws_in_all}"
        )
    posterior = load_members(args.fits)
    seed = posterior_seed(args.seed, f"observation {args.out.parent.name}")
    theta, summaries = posterior.sample(observed, draws_of_each, seed=seed), posterior.conditions(observed)
    draws = {name: theta[..., i] for i, name in enumerate(simulations.names)}
    # Simulations that succeeded: the prior that the network has learned from.
    prior = {name: simulations.theta[:, i] for i, name in enumerate(simulations.names)}
    derived, derived_prior = model.derived_quantities(theta), model.derived_quantities(simulations.theta)
    table = posterior_table(draws | derived, prior | derived_prior)
    derived, derived_prior = finite_everywhere(derived, derived_prior)
    about = {"study": args.study, "simulations": manifest.store, "inference_library": "cinnflow"}
    contexts = {name: observed[name] for name in simulations.context}
    shown = nan_behind(observed, simulations.padded)
    data = {name: shown[name] for name in simulations.data}
    simulated = simulations.as_long_as(length_of_first(observed, simulations.padded), args.prior_predictive)
    write_draws(args.out, draws | derived, prior | derived_prior, simulated, data, summaries, about, contexts)
    write_table(args.table, table)
    say(f"{args.observation}: posterior of {data_sets} data sets, {draws_of_each} draws each")


if __name__ == "__main__":
    main()
