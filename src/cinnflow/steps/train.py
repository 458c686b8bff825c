"""Rule `train`: fits the network to the simulations of one or more rounds."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np

from cinnflow.config import Network, Training
from cinnflow.simulation.model_file import import_model
from cinnflow.steps.common import run_step, say
from cinnflow.store.progress import duration
from cinnflow.store.reader import read_simulations
from cinnflow.store.seal import read_manifest

log = logging.getLogger(__name__)

SAY_EVERY = 5
"""Epochs between two lines for the person who watches."""


def main() -> None:
    """Parses the arguments that the rule gives and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=Path, required=True, help="the folder of all stores")
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="of the splits to train on")
    parser.add_argument("--network", type=Network.model_validate_json, required=True, help="its configuration, as JSON")
    parser.add_argument("--training", type=Training.model_validate_json, required=True, help="likewise")
    parser.add_argument("--seed", type=int, required=True, help="of the study")
    parser.add_argument("--member", type=int, required=True, help="which member of the ensemble")
    parser.add_argument(
        "--model", type=Path, nargs="*", default=[], help="the model file, where a network is its class"
    )
    parser.add_argument("--warm-start", type=Path, nargs="*", default=[], help="the fit of the round before")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--fit", type=Path, required=True, help="the .keras file to write")
    parser.add_argument("--history", type=Path, required=True, help="the CSV file to write")
    run_step(lambda: _train(parser.parse_args()))


def _train(args: argparse.Namespace) -> None:
    simulations = read_simulations(args.stores, [read_manifest(path) for path in args.manifests])

    own = getattr(import_model(args.model[0]), args.network.summary.type) if args.model else None

    # TensorFlow takes seconds to import: wrong arguments and damaged stores are told before.
    import keras

    from cinnflow.inference.amortized_posterior import AmortizedPosterior
    from cinnflow.training.device import use_device
    from cinnflow.training.fit import fit
    from cinnflow.training.history import Epoch

    log.info("training on %s", use_device(args.threads))
    name = " ".join(args.fit.parent.parts[-2:]).replace("-", " ").removeprefix("fit ")
    say(f"training {name}: {len(simulations.theta)} simulations")
    start = time.monotonic()

    def follow(epoch: Epoch) -> None:
        line = f"epoch {epoch.epoch}, loss {epoch.loss:.3f}, validation {epoch.validation_loss:.3f}"
        log.info("%s, learning rate %.2g", line, epoch.learning_rate)
        if epoch.epoch == 1 or epoch.epoch % SAY_EVERY == 0:
            left = (args.training.epochs - epoch.epoch) * (time.monotonic() - start) / epoch.epoch
            say(f"training {name}: {line}, at most {duration(left)} left")

    seed = int(np.random.SeedSequence([args.seed, args.member]).generate_state(1)[0])
    if own is not None:
        # A layer of the user's own may draw its first weights from the global generators alone.
        keras.utils.set_random_seed(seed)
    posterior = fit(
        simulations.theta,
        simulations.data,
        names=simulations.names,
        lower=simulations.lower,
        upper=simulations.upper,
        network=args.network,
        training=args.training,
        seed=seed,
        own_summary=own,
        warm_start=AmortizedPosterior.load(args.warm_start[0]) if args.warm_start else None,
        history_path=args.history,
        on_epoch=follow,
    )
    posterior.save(args.fit)


if __name__ == "__main__":
    main()
