"""Rule `truncate`: the region of the prior that the next round's parameters come from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cinnflow.imports import quick_imports
from cinnflow.inference.observation import check_truncated_around
from cinnflow.simulation.folder_lock import alone_with
from cinnflow.steps.shared.observed import read_observed
from cinnflow.steps.shared.region import read_region
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.unedited import load_unedited
from cinnflow.store.layout import Store, StoreError, place
from cinnflow.store.manifest import read_manifest
from cinnflow.store.proposal import Proposal, proposal_folder, proposal_path
from cinnflow.store.stored_simulations import read_simulations

PRIOR_DRAWS = 200_000


def main() -> None:
    """Parses the arguments that the rule gives and truncates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=Path, required=True, help="the folder of all stores")
    parser.add_argument("--store", required=True, help="name of the store whose simulations the region is for")
    parser.add_argument("--prior", required=True, help="name of the store of simulations from the whole prior")
    parser.add_argument("--wider", default="", help="name of the store that the fit's last round is in; empty: prior")
    parser.add_argument("--fingerprint", type=json.loads, required=True, help="the store's, part by part, as JSON")
    parser.add_argument("--manifest", type=Path, required=True, help="of a split from the prior")
    parser.add_argument("--fits", type=Path, nargs="+", required=True, help="the .keras file of each member")
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--observation", type=Path, required=True, help="the file of observed data")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    run_step(lambda: _truncate(parser.parse_args()))


def _truncate(args: argparse.Namespace) -> None:
    store = Store(args.stores / f"{args.store}.zarr")
    if store.splits() and not proposal_path(store).exists():
        raise StoreError(
            f"{store.path} holds simulations, but where they were drawn, {proposal_folder(store)}, is gone: put it "
            f"back, or delete {store.path} too, and start snakemake again, which runs that round anew"
        )
    model, _ = load_unedited(args, args.prior)
    observed = read_observed(args.observation, read_simulations(args.stores, [read_manifest(args.manifest)]), model)
    check_truncated_around(args.observation, observed)

    # TensorFlow takes seconds to import: wrong arguments and unreadable observations are told before.
    with quick_imports():
        from cinnflow.inference.load import load_members
        from cinnflow.inference.region import Region
        from cinnflow.networks.device import use_device

    use_device(args.threads)
    prior_draws = model.generative.prior(PRIOR_DRAWS, np.random.default_rng([args.seed, 0]))
    wider = read_region(Store(args.stores / f"{args.wider}.zarr")) if args.wider else None
    region = Region.around(load_members(args.fits), observed, prior_draws, args.seed, wider)
    share = float(np.mean(region.inside(prior_draws)))
    folder, path = proposal_folder(store), proposal_path(store)
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock"
    lock.touch()
    with alone_with(lock):
        if not path.exists():  # another study with this store may have been first, and holds for both
            region.save(folder, args.fits)
            proposal = Proposal(args.prior, args.wider or None, args.fingerprint)
            place(path, proposal.text().encode())
    say(f"truncated to {args.observation}: {share:.2g} of the prior is left to simulate")


if __name__ == "__main__":
    main()
