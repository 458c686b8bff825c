"""A posterior that is known: the mean of normal data under a normal prior, for as many entries as wanted."""

from __future__ import annotations

import numpy as np


def simulate(count: int, rng: np.random.Generator, entries: int = 2, n_obs: int = 10) -> dict[str, np.ndarray]:
    """Means drawn from N(0, 1), and n_obs observations of each with unit variance, as a generative model gives them."""
    theta = rng.standard_normal((count, entries))
    return {"prior_draws": theta, "sim_data": theta[:, None, :] + rng.standard_normal((count, n_obs, entries))}


def exact_log_prob(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log p(θ | x) (data sets,): N(n x̄/(n + 1), 1/(n + 1)) for each entry."""
    n = x.shape[1]
    residual = theta - x.sum(axis=1) / (n + 1)
    return 0.5 * np.sum(np.log((n + 1) / (2 * np.pi)) - (n + 1) * residual**2, axis=1)
