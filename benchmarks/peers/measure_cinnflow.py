"""cinnflow on the quickstart."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from quickstart import (
    BATCH,
    DATA_SETS,
    DRAWS,
    ELEMENTS,
    PARAMETERS,
    divergence,
    report,
    seconds,
    simulate,
    since_start,
)

import cinnflow as cf

UPDATES = 400
"""Updates that cinnflow's defaults take to come closer to the truth than the tutorial's network does in 10,000."""


def model() -> cf.GenerativeModel:
    prior = cf.Prior(lambda rng, count: rng.standard_normal((count, PARAMETERS)), batched=True)
    simulator = cf.Simulator(
        lambda theta, rng: theta[:, None] + rng.standard_normal((len(theta), ELEMENTS, PARAMETERS)), batched=True
    )
    return cf.GenerativeModel(prior, simulator)


def default_posterior() -> cf.AmortizedPosterior:
    return cf.AmortizedPosterior(cf.InvertibleNetwork(PARAMETERS, num_coupling_layers=4), cf.DeepSet(summary_dim=10))


def tutorial_posterior() -> cf.AmortizedPosterior:
    settings = {"dense_args": {"units": 128, "activation": "relu"}}
    return cf.AmortizedPosterior(
        cf.InvertibleNetwork(PARAMETERS, num_coupling_layers=4, coupling_settings=settings),
        cf.DeepSet(summary_dim=10, num_equiv=2, units=64, activation="relu"),
    )


def online(posterior: cf.AmortizedPosterior) -> dict[str, float]:
    cf.Trainer  # noqa: B018 - imports TensorFlow, once and before the clock is read
    imported = since_start()
    trainer = cf.Trainer(posterior, model())
    trainer.train_online(epochs=1, iterations_per_epoch=1, batch_size=BATCH)
    first = since_start()
    # The first epoch compiles.
    _, *seconds_of_epochs = trainer.train_online(5, iterations_per_epoch=500, batch_size=BATCH).table()["seconds"]
    return {"import": imported, "first update": first, "updates/s": 2000 / sum(seconds_of_epochs)}


def quickstart() -> dict[str, float]:
    posterior = default_posterior()
    cf.Trainer(posterior, model()).train_online(epochs=1, iterations_per_epoch=UPDATES, batch_size=BATCH)
    trained = since_start()
    return {"seconds": trained, "updates": UPDATES, **divergence(posterior.log_prob)}


def draws() -> dict[str, float]:
    posterior = tutorial_posterior()
    cf.Trainer(posterior, model()).train_online(epochs=1, iterations_per_epoch=1, batch_size=BATCH)
    x = simulate(DATA_SETS, np.random.default_rng(1))[1]
    return {"draws/s": DATA_SETS * DRAWS / seconds(lambda: posterior.sample(x, DRAWS, seed=1))}


def offline() -> dict[str, float]:
    import quickstart_store  # which the clock of the other tasks does not wait for

    with tempfile.TemporaryDirectory() as folder:
        stored = quickstart_store.write(Path(folder))
        few, many = (quickstart_store.seconds_of_training(stored, epochs) for epochs in (1, 4))
    return {"epochs/s": 3 * (1 - quickstart_store.VALIDATION) / (many - few)}


report(
    {
        "online": lambda: online(tutorial_posterior()),
        "quickstart": quickstart,
        "draws": draws,
        "offline": offline,
    }
)
