"""What dropout costs in training: with this package's random numbers, with Keras's, and none.

    python benchmarks/dropout.py [--repeats 3]

The same network with default couplings in each, batches of 64; medians of epochs that are trained in turn.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
import pandas as pd

import cinnflow as cf
from cinnflow.networks import dropout, mlp

PARAMETERS, ELEMENTS, BATCH, UPDATES = 4, 10, 64, 500
KINDS = {"none": (None, False), "Keras": (keras.layers.Dropout, True), "cinnflow": (dropout.Dropout, True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    trainers = {name: trainer(*kind) for name, kind in KINDS.items()}
    rates = [{name: updates_a_second(each) for name, each in trainers.items()} for _ in range(args.repeats)]
    table = pd.DataFrame(rates).median().rename("updates a second").rename_axis("dropout")
    print(table.round().to_markdown())


def trainer(layer: type[keras.layers.Dropout] | None, leaves_out: bool) -> cf.Trainer:
    """One that has compiled its updates."""
    mlp.Dropout = layer or mlp.Dropout
    prior = cf.Prior(lambda rng, count: rng.standard_normal((count, PARAMETERS)), batched=True)
    simulator = cf.Simulator(
        lambda theta, rng: theta[:, None] + rng.standard_normal((len(theta), ELEMENTS, PARAMETERS)), batched=True
    )
    network = cf.InvertibleNetwork(PARAMETERS, coupling_settings={"dropout": leaves_out})
    made = cf.Trainer(cf.AmortizedPosterior(network, cf.DeepSet()), cf.GenerativeModel(prior, simulator))
    made.train_online(epochs=1, iterations_per_epoch=1, batch_size=BATCH)
    return made


def updates_a_second(trainer: cf.Trainer) -> float:
    """Of three epochs, after one that is not counted."""
    _, *seconds = trainer.train_online(4, iterations_per_epoch=UPDATES, batch_size=BATCH).table()["seconds"]
    return UPDATES / float(np.median(seconds))


if __name__ == "__main__":
    main()
