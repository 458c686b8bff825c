"""BayesFlow 2.0.12 on the quickstart, with the backend that KERAS_BACKEND names."""

from __future__ import annotations

import time

import bayesflow as bf
import numpy as np
from quickstart import (
    BATCH,
    DATA_SETS,
    DRAWS,
    ELEMENTS,
    OFFLINE,
    OFFLINE_BATCH,
    PARAMETERS,
    epochs_a_second,
    report,
    seconds,
    simulate,
    since_start,
)

IMPORTED = since_start()


def workflow() -> bf.BasicWorkflow:
    rng = np.random.default_rng(2026)

    def prior() -> dict[str, np.ndarray]:
        return {"theta": rng.standard_normal(PARAMETERS)}

    def likelihood(theta: np.ndarray) -> dict[str, np.ndarray]:
        return {"x": theta + rng.standard_normal((ELEMENTS, PARAMETERS))}

    return bf.BasicWorkflow(
        simulator=bf.make_simulator([prior, likelihood]),
        inference_network=bf.networks.CouplingFlow(depth=4, subnet_kwargs={"widths": (128, 128), "dropout": 0.0}),
        summary_network=bf.networks.DeepSet(summary_dim=10),
        inference_variables="theta",
        summary_variables="x",
    )


def online() -> dict[str, float]:
    training = workflow()
    _seconds_online(training, 1)
    first = since_start()
    few, many = (_seconds_online(training, updates) for updates in (100, 600))
    return {"import": IMPORTED, "first update": first, "updates/s": 500 / (many - few)}


def _seconds_online(training: bf.BasicWorkflow, updates: int) -> float:
    start = time.perf_counter()
    training.fit_online(epochs=1, num_batches_per_epoch=updates, batch_size=BATCH, verbose=0)
    return time.perf_counter() - start


def draws() -> dict[str, float]:
    training = workflow()
    _seconds_online(training, 1)
    x = simulate(DATA_SETS, np.random.default_rng(1))[1]
    return {"draws/s": DATA_SETS * DRAWS / seconds(lambda: training.sample(num_samples=DRAWS, conditions={"x": x}))}


def offline() -> dict[str, float]:
    training = workflow()
    theta, x = simulate(OFFLINE, np.random.default_rng(2026))
    return epochs_a_second(
        lambda: training.fit_offline({"theta": theta, "x": x}, epochs=1, batch_size=OFFLINE_BATCH, verbose=0)
    )


report({"online": online, "draws": draws, "offline": offline})
