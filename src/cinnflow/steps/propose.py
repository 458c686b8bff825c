"""Rule `propose`: draws the parameters of a split's simulations from the truncated prior."""

from __future__ import annotations

import argparse
import json
import time
from io import BytesIO
from pathlib import Path

import numpy as np

from cinnflow.imports import quick_imports
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.truncated_prior import draw_truncated
from cinnflow.steps.shared.region import read_region
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.unedited import load_unedited
from cinnflow.store.layout import Store, place
from cinnflow.store.proposal import theta_path

SAY_EVERY = 5.0
"""Seconds between two lines for the person who watches."""


def main() -> None:
    """Parses the arguments that the rule gives and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the store that the simulations are for")
    parser.add_argument("--prior", required=True, help="name of the store of simulations from the whole prior")
    parser.add_argument("--split", required=True)
    parser.add_argument("--simulations", type=int, required=True, help="of the split")
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    run_step(lambda: _propose(parser.parse_args()))


def _propose(args: argparse.Namespace) -> None:
    model, _ = load_unedited(args, args.prior)

    with quick_imports():
        from cinnflow.networks.device import use_device

    use_device(args.threads)
    store = Store(args.store)
    region = read_region(store)
    seeds = [simulation_seed(args.seed, args.split, index) for index in range(args.simulations)]
    next_line = time.monotonic() + SAY_EVERY

    def follow(found: int, drawn: int) -> None:
        nonlocal next_line
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + SAY_EVERY
            say(f"{args.split}: {found} of {args.simulations} parameters found in {drawn} draws of the prior")

    content = BytesIO()
    np.save(content, draw_truncated(model.generative, seeds, region.inside, follow))
    path = theta_path(store, args.split, args.simulations)
    place(path, content.getvalue())
    say(f"{args.split}: {args.simulations} parameters drawn from the truncated prior")


if __name__ == "__main__":
    main()
