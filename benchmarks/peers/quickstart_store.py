"""The quickstart's simulations in a store, and training on them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from quickstart import ELEMENTS, OFFLINE, OFFLINE_BATCH, PARAMETERS, simulate

from cinnflow.config import Training
from cinnflow.config_network import Network
from cinnflow.store.commit import place_batch
from cinnflow.store.description import Description, write_description
from cinnflow.store.layout import Batch, Store
from cinnflow.store.seal import seal
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.fit import fit

SIZE = 1000
"""Simulations in a batch of the store."""
VALIDATION = 0.02
"""Share of the simulations that is held back, and not trained on."""
TUTORIAL = {
    "summary": {"num_equiv": 2, "units": 64, "activation": "relu"},
    "inference": {"num_coupling_layers": 4, "units": 128, "activation": "relu"},
}


def write(folder: Path) -> StoredSimulations:
    """A sealed store of `OFFLINE` simulations in a folder."""
    store = Store(folder / "quickstart-00000000.zarr")
    names, unbounded = [f"theta_{i}" for i in range(PARAMETERS)], [None] * PARAMETERS
    description = Description(names, unbounded, unbounded, {"x": [ELEMENTS, PARAMETERS]}, SIZE, {"quickstart": "1"})
    write_description(store, description, store.scratch / "zarr.json")
    rng = np.random.default_rng(2026)
    for number in range(OFFLINE // SIZE):
        columns = {
            spec.name: np.full((SIZE, *spec.shape), spec.fill, object if spec.dtype == "string" else spec.dtype)
            for spec in description.arrays
        }
        columns["status"] = np.zeros(SIZE, np.uint8)
        columns["theta"], columns["data/x"] = (array.astype(float) for array in simulate(SIZE, rng))
        place_batch(Batch(store, "round-0", number, SIZE), description, columns)
    return StoredSimulations(folder, [seal(store, "round-0", OFFLINE // SIZE, SIZE, 0.0, "")[0]])


def seconds_of_training(stored: StoredSimulations, epochs: int) -> float:
    """Wall time of training the tutorial's network, reading and compiling included."""
    training = Training(regime="offline", epochs=epochs, batch_size=OFFLINE_BATCH, validation_share=VALIDATION)
    start = time.perf_counter()
    fit(stored, network=Network.model_validate(TUTORIAL), training=training, seed=1)
    return time.perf_counter() - start
