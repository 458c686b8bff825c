"""BayesFlow 1.1.6 on the quickstart, as in its tutorial."""

from __future__ import annotations

import time

import bayesflow as bf
import numpy as np
import tensorflow as tf
from quickstart import (
    BATCH,
    DATA_SETS,
    DRAWS,
    ELEMENTS,
    OFFLINE,
    OFFLINE_BATCH,
    PARAMETERS,
    divergence,
    epochs_a_second,
    report,
    seconds,
    simulate,
    since_start,
)

IMPORTED = since_start()


def amortizer() -> bf.amortizers.AmortizedPosterior:
    summary_net = bf.networks.DeepSet(summary_dim=10)
    inference_net = bf.networks.InvertibleNetwork(
        num_params=PARAMETERS,
        num_coupling_layers=4,
        coupling_settings={"dense_args": {"kernel_regularizer": None}, "dropout": False},
    )
    return bf.amortizers.AmortizedPosterior(inference_net, summary_net)


def trainer() -> bf.trainers.Trainer:
    rng = np.random.default_rng(2026)
    prior = bf.simulation.Prior(batch_prior_fun=lambda batch_size: rng.standard_normal((batch_size, PARAMETERS)))
    simulator = bf.simulation.Simulator(
        batch_simulator_fun=lambda theta: theta[:, None] + rng.standard_normal((len(theta), ELEMENTS, PARAMETERS))
    )
    model = bf.simulation.GenerativeModel(prior, simulator, skip_test=True)
    return bf.trainers.Trainer(amortizer=amortizer(), generative_model=model)


def online() -> dict[str, float]:
    training = trainer()
    training.train_online(epochs=1, iterations_per_epoch=1, batch_size=BATCH, save_checkpoint=False)
    first = since_start()
    few, many = (_seconds_online(training, updates) for updates in (100, 600))
    return {"import": IMPORTED, "first update": first, "updates/s": 500 / (many - few)}


def _seconds_online(training: bf.trainers.Trainer, updates: int) -> float:
    start = time.perf_counter()
    training.train_online(epochs=1, iterations_per_epoch=updates, batch_size=BATCH, save_checkpoint=False)
    return time.perf_counter() - start


def quickstart() -> dict[str, float]:
    training = trainer()
    training.train_online(
        epochs=10, iterations_per_epoch=1000, batch_size=BATCH, validation_sims=200, save_checkpoint=False
    )
    trained = since_start()

    def log_prob(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        parts = [slice(start, start + 2000) for start in range(0, len(theta), 2000)]
        return np.concatenate(
            [
                training.amortizer.log_posterior({"parameters": theta[part], "summary_conditions": x[part]})
                for part in parts
            ]
        )

    return {"seconds": trained, "updates": 10_000, **divergence(log_prob)}


def draws() -> dict[str, float]:
    posterior = amortizer()
    theta, x = simulate(DATA_SETS, np.random.default_rng(1))
    posterior({"parameters": theta, "summary_conditions": x})
    return {"draws/s": DATA_SETS * DRAWS / seconds(lambda: posterior.sample({"summary_conditions": x}, DRAWS))}


def offline() -> dict[str, float]:
    training = trainer()
    theta, x = simulate(OFFLINE, np.random.default_rng(2026))
    return epochs_a_second(
        lambda: training.train_offline(
            {"prior_draws": theta, "sim_data": x}, epochs=1, batch_size=OFFLINE_BATCH, save_checkpoint=False
        )
    )


tf.get_logger().setLevel("ERROR")
report({"online": online, "quickstart": quickstart, "draws": draws, "offline": offline})
