"""sbi 0.27 on the quickstart: NPE with its default flow behind a permutation-invariant embedding."""

from __future__ import annotations

import time

import numpy as np
import torch
from quickstart import (
    BATCH,
    DATA_SETS,
    DRAWS,
    OFFLINE,
    OFFLINE_BATCH,
    PARAMETERS,
    report,
    seconds,
    simulate,
    since_start,
)
from sbi.inference import NPE
from sbi.neural_nets import posterior_nn
from sbi.neural_nets.embedding_nets import FCEmbedding, PermutationInvariantEmbedding

IMPORTED = since_start()
SIMULATIONS = 6400
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def inference(simulations: int = SIMULATIONS) -> NPE:
    embedding = PermutationInvariantEmbedding(
        FCEmbedding(PARAMETERS, output_dim=64, num_hiddens=64), trial_net_output_dim=64, output_dim=10
    )
    prior = torch.distributions.MultivariateNormal(
        torch.zeros(PARAMETERS, device=DEVICE), torch.eye(PARAMETERS, device=DEVICE)
    )
    theta, x = (torch.from_numpy(array) for array in simulate(simulations, np.random.default_rng(2026)))
    flow = posterior_nn("maf", embedding_net=embedding)
    return NPE(prior, density_estimator=flow, device=DEVICE).append_simulations(theta, x)


def _seconds_training(epochs: int, simulations: int = SIMULATIONS, batch: int = BATCH) -> float:
    start = time.perf_counter()
    inference(simulations).train(training_batch_size=batch, max_num_epochs=epochs, stop_after_epochs=epochs)
    return time.perf_counter() - start


def online() -> dict[str, float]:
    # It trains on stored simulations alone: what each update costs is what online training's would.
    few, many = (_seconds_training(epochs) for epochs in (1, 4))
    updates = 3 * (SIMULATIONS * 9 // 10 // BATCH)
    return {"import": IMPORTED, "updates/s": updates / (many - few)}


def draws() -> dict[str, float]:
    trained = inference()
    trained.train(training_batch_size=BATCH, max_num_epochs=1)
    posterior = trained.build_posterior()
    x = torch.from_numpy(simulate(DATA_SETS, np.random.default_rng(1))[1]).to(DEVICE)
    draw = seconds(lambda: posterior.sample_batched((DRAWS,), x, show_progress_bars=False), repeats=1)
    return {"draws/s": DATA_SETS * DRAWS / draw}


def offline() -> dict[str, float]:
    few, many = (_seconds_training(epochs, OFFLINE, OFFLINE_BATCH) for epochs in (1, 2))
    # A tenth is held back for validation and not trained on.
    return {"epochs/s": 0.9 / (many - few)}


report({"online": online, "draws": draws, "offline": offline})
