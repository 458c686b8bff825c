"""Rule `train`: fits the network to the simulations of one or more rounds, or to those that it makes itself."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from cinnflow.config import Training
from cinnflow.config_network import ModelFileNetwork, Network
from cinnflow.imports import quick_imports
from cinnflow.simulation.folder_lock import alone_with
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.model_file import import_model
from cinnflow.simulation.parameter_faults import PRIOR_DRAWS, parameter_faults
from cinnflow.steps.shared.region import read_region
from cinnflow.steps.shared.running import run_step, say
from cinnflow.steps.shared.unedited import load_unedited
from cinnflow.store.layout import Store, place
from cinnflow.store.manifest import read_manifest
from cinnflow.store.progress import rough_duration
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.defaults import complete_training
from cinnflow.training.errors import TrainingError
from cinnflow.training.history import Epoch
from cinnflow.training.simulation_ahead import default_workers

log = logging.getLogger(__name__)

SAY_EVERY = 5.0
"""Seconds between two lines for the person who watches."""

FIGURE_COST = 0.02
"""Share of the time that drawing the losses may take."""


def main() -> None:
    """Parses the arguments that the rule gives and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=Path, required=True, help="the folder of all stores")
    parser.add_argument("--manifests", type=Path, nargs="*", required=True, help="of the splits to train on, if any")
    parser.add_argument("--meaning", required=True, help="name of the model's store: what its simulations mean")
    parser.add_argument("--model", required=True, help="the model file")
    parser.add_argument("--options", type=json.loads, required=True, help="keyword arguments of build(), as JSON")
    parser.add_argument("--network", type=Network.model_validate_json, required=True, help="its configuration, as JSON")
    parser.add_argument("--training", type=Training.model_validate_json, required=True, help="likewise")
    parser.add_argument("--code", required=True, help="digest of the code of a summary network of the model file's own")
    parser.add_argument("--seed", type=int, required=True, help="of the study")
    parser.add_argument("--member", type=int, required=True, help="which member of the ensemble")
    parser.add_argument("--before", type=Path, nargs="*", default=[], help="the fit of the round before")
    parser.add_argument("--region", default="", help="name of the store whose region is learned; empty: all there is")
    parser.add_argument("--timeout", type=json.loads, required=True, help="seconds for one simulation, as JSON")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True, help="megabytes that the job may use")
    parser.add_argument("--fit", type=Path, required=True, help="the .keras file to write")
    parser.add_argument("--history", type=Path, required=True, help="the CSV file to write")
    run_step(lambda: _train_alone(parser.parse_args()))


def _train_alone(args: argparse.Namespace) -> None:
    """Trains once no other process is at this fit: a snakemake that was killed leaves its jobs to the next one."""
    # Kept, also at the end: a job whose end Snakemake did not see runs again, without what its rule declares.
    checkpoints = args.fit.with_name(".checkpoints")
    checkpoints.mkdir(parents=True, exist_ok=True)
    lock = checkpoints / "lock"
    lock.touch()
    own = checkpoints / f"{args.meaning}{args.code and '-'}{args.code[:8]}"
    with alone_with(lock, lambda: say(f"{args.fit} is being trained by another process: waiting for it")):
        for left in (*checkpoints.iterdir(), *args.fit.parent.glob(".saving-*")):
            if left.is_dir() and left != own:
                shutil.rmtree(left)
        _train(args, own)


def _train(args: argparse.Namespace, checkpoints: Path) -> None:
    source: GenerativeModel | StoredSimulations
    manifests = [read_manifest(path) for path in args.manifests]
    if args.training.simulates:
        source = load_unedited(args, args.meaning)[0].generative
        count = 0
        prior = source.prior
        theta = prior(PRIOR_DRAWS, np.random.default_rng(args.seed))
    else:
        source = prior = StoredSimulations(args.stores, manifests)
        count = len(source)
        theta = source.theta
    faults, _ = parameter_faults(theta, prior.names, prior.lower, prior.upper)
    if faults:
        raise TrainingError("; ".join(faults))

    summary = args.network.summary
    # It must be known before a posterior that has it is loaded.
    own = getattr(import_model(args.model), summary.type) if isinstance(summary, ModelFileNetwork) else None

    # TensorFlow takes seconds to import: wrong arguments and damaged stores are told before.
    with quick_imports():
        import keras

        from cinnflow.inference.amortized_posterior import AmortizedPosterior
        from cinnflow.networks.device import use_device
        from cinnflow.training.fit import fit
        from cinnflow.training.memory import memory_limit

    device = use_device(args.threads, args.member)
    log.info("training on %s", device)
    region = None
    if args.region:
        region = read_region(Store(args.stores / f"{args.region}.zarr"))
        source = StoredSimulations(args.stores, manifests, inside=region.inside)
        log.info("%d of %d simulations lie in the region of the last round", len(source), count)
        count = len(source)
    training = complete_training(args.training, count)
    what = training.regime if args.training.simulates else f"{count} simulations"
    name = " ".join(args.fit.parent.parts[-2:]).replace("-", " ").removeprefix("fit ")
    seed = int(np.random.SeedSequence([args.seed, args.member]).generate_state(1)[0])
    if own is not None:
        # A layer of the user's own may draw its first weights from the global generators alone.
        keras.utils.set_random_seed(seed)
    say(f"training {name}: {what}, on {device}")
    # They share the cores with the training, which waits for them where they are slow.
    workers = min(args.threads, default_workers(source))
    watch = _Watch(name, training.epochs, args.history)
    before = AmortizedPosterior.load(args.before[0]) if args.before else None
    found = fit(
        source,
        network=args.network,
        training=training,
        seed=seed,
        own_summary=own,
        # A region is narrower than what the fit before was scaled to: its network starts anew.
        warm_start=None if args.region else before,
        before=before,
        inside=region and region.inside,
        memory=memory_limit(args.memory),
        workers=workers,
        timeout=args.timeout if workers else None,
        history_path=args.history,
        checkpoint_path=checkpoints,
        on_epoch=watch.follow,
    )
    watch.draw()
    epochs = len(found.history.epochs)
    say(f"training {name}: ended after epoch {epochs}: {found.ended}")
    if found.share_left_out:
        say(
            f"training {name}: about {found.share_left_out:.2g} of its simulations were not finite, and left out: the "
            "posterior holds for parameters whose simulations are"
        )
    about = {
        "device": device,
        "settings": training.model_dump(exclude_none=True, exclude={"ensemble"}),
        "ended": f"after epoch {epochs}: {found.ended}",
        "share_left_out": found.share_left_out,
        "streamed": found.streamed,
        "gain": found.gain and asdict(found.gain),
    }
    place(args.fit.with_name("training.json"), json.dumps(about, indent=1).encode())
    found.posterior.save(args.fit)


class _Watch:
    """What a person sees of a training: a line now and then, and a figure of the losses beside the history.

    Args:
        name: of the fit.
        epochs: how many there are at most.
        history: the CSV file of its epochs.
    """

    def __init__(self, name: str, epochs: int, history: Path) -> None:
        self._name, self._epochs, self._history = name, epochs, history
        self._next_line = self._next_figure = 0.0
        self._compiled = False

    def follow(self, epoch: Epoch) -> None:
        """Tells of an epoch that is over."""
        now = time.monotonic()
        if now >= self._next_line:
            self._next_line = now + SAY_EVERY
            # How long the first epoch took says nothing of the others.
            left = epoch.seconds * (self._epochs - epoch.epoch)
            at_most = f", at most {rough_duration(left)} left" if self._compiled else ""
            say(
                f"training {self._name}: epoch {epoch.epoch} of {self._epochs}, loss {epoch.loss:.3f}, validation "
                f"{epoch.validation_loss:.3f}{at_most}"
            )
        self._compiled = True
        if now >= self._next_figure:
            self.draw()
            end = time.monotonic()
            self._next_figure = end + (end - now) / FIGURE_COST

    def draw(self) -> None:
        """Draws the losses so far."""
        from cinnflow.diagnostics import losses, style  # with matplotlib, which a short training does not wait for

        try:
            history = pd.read_csv(self._history)
        except FileNotFoundError:  # a snakemake that takes over from a killed one deletes it, and lets this one run on
            return
        table = losses.compute({self._name: history})
        style.save(losses.plot(table), self._history.with_name("losses.png"))


if __name__ == "__main__":
    main()
