"""Rule `draws`: posterior draws of the held-out simulations, which every diagnostic reads."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.imports import quick_imports
from cinnflow.inference.draws import Draws, digest_of_file, write_draws
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.seeds import posterior_seed
from cinnflow.steps.shared.derived import finite_everywhere
from cinnflow.steps.shared.running import run_step, say
from cinnflow.store.manifest import read_manifest
from cinnflow.store.stored_simulations import read_simulations


def main() -> None:
    """Parses the arguments that the rule gives and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=Path, required=True, help="the folder of all stores")
    parser.add_argument("--manifest", type=Path, required=True, help="of the test split")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="the .keras file of each member")
    parser.add_argument("--model", required=True, help="the model file; empty for none")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--draws", type=int, required=True, help="draws for each simulation")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the artifact's folder")
    run_step(lambda: _draw(parser.parse_args()))


def _draw(args: argparse.Namespace) -> None:
    model = load_model(args.model, args.options)
    test = read_simulations(args.stores, [read_manifest(args.manifest)])

    # TensorFlow takes seconds to import: wrong arguments and damaged stores are told before.
    with quick_imports():
        from cinnflow.inference.load import load_members
        from cinnflow.networks.device import use_device

    use_device(args.threads)
    posterior = load_members(args.fits)
    draws = posterior.sample(test.conditions, args.draws, seed=posterior_seed(args.seed, "split test"))
    derived, derived_truths = finite_everywhere(model.derived_quantities(draws), model.derived_quantities(test.theta))
    truths = [test.theta, *(value[:, None] for value in derived_truths.values())]
    write_draws(
        args.out,
        Draws(
            names=[*test.names, *derived],
            parameters=len(test.names),
            draws=np.concatenate([draws, *(value[..., None] for value in derived.values())], axis=-1),
            truths=np.concatenate(truths, axis=-1),
            log_prob=posterior.log_prob(test.theta, test.conditions),
            latent=posterior.latent(test.theta, test.conditions),
            summaries=posterior.conditions(test.conditions),
            fits={fit.relative_to(args.out.parent.parent).as_posix(): digest_of_file(fit) for fit in args.fits},
        ),
    )
    say(f"draws: {args.draws} for each of {len(test.theta)} test simulations")


if __name__ == "__main__":
    main()
