"""Posteriors whose truth is known: a short training comes close to it, within the prior's bounds."""

from __future__ import annotations

import numpy as np
import pytest

import cinnflow as cf

N_OBS = 5
COVARIANCE = np.array([[1.0, 0.8], [0.8, 1.0]])


def uniform_prior(batch_size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1.0, 1.0, (batch_size, 2))


def correlated_prior(batch_size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.multivariate_normal([0.0, 0.0], COVARIANCE, batch_size)


def uniform_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and standard deviations (data sets, 2), by quadrature."""
    grid = np.linspace(-1.0, 1.0, 2001)
    weights = np.exp(-0.5 * N_OBS * np.square(grid - x.mean(axis=1)[..., None]))
    weights /= weights.sum(axis=-1, keepdims=True)
    mean = weights @ grid
    return mean, np.sqrt(weights @ grid**2 - mean**2)


def correlated_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    covariance = np.linalg.inv(np.linalg.inv(COVARIANCE) + N_OBS * np.eye(2))
    mean = x.sum(axis=1) @ covariance
    return mean, np.broadcast_to(np.sqrt(np.diag(covariance)), mean.shape)


@pytest.mark.parametrize(
    ("prior", "moments", "bound", "layers"),
    [(uniform_prior, uniform_moments, 1.0, 4), (correlated_prior, correlated_moments, None, 2)],
)
def test_moments_are_those_of_the_exact_posterior(prior, moments, bound, layers):
    def model(batch_size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        theta = prior(batch_size, rng)
        return {"prior_draws": theta, "sim_data": theta[:, None] + rng.standard_normal((batch_size, N_OBS, 2))}

    posterior = cf.AmortizedPosterior(
        cf.InvertibleNetwork(2, layers, coupling_settings={"dense_args": {"units": 32}}),
        cf.DeepSet(4, units=32),
        lower=None if bound is None else -bound,
        upper=bound,
    )
    cf.Trainer(posterior, model).train_online(epochs=1, iterations_per_epoch=1500, batch_size=128)
    rng = np.random.default_rng(1)
    theta = prior(400, rng)
    x = theta[:, None] + rng.standard_normal((400, N_OBS, 2))
    draws = posterior.sample(x, 2000, seed=1)
    if bound is not None:
        assert np.all(np.abs(draws) <= bound)
    mean, sd = moments(x)
    spread = theta.std(axis=0)
    # Averages over data sets, which random draws hardly move; and no data set far off.
    assert np.abs(np.mean(draws.mean(axis=1) - mean, axis=0) / spread).max() < 0.02
    assert np.sqrt(np.mean(np.square((draws.mean(axis=1) - mean) / spread))) < 0.04
    assert np.abs(np.mean(draws.std(axis=1) / sd, axis=0) - 1.0).max() < 0.02


@pytest.mark.parametrize("network", [cf.DeepSet, cf.SetTransformer, cf.TimeSeriesNetwork])
def test_a_spread_is_seen_where_sets_differ_far_more_in_where_they_lie(network):
    """The posterior of 30 numbers' log sd, given their sd alone, is close to normal with an sd of 1 / sqrt(2 · 29)."""
    rng = np.random.default_rng(1)
    theta = np.column_stack([rng.normal(0, 10, 2500), rng.normal(0, 0.5, 2500)])
    x = (theta[:, :1] + np.exp(theta[:, 1:]) * rng.standard_normal((2500, 30)))[..., None]
    settings = {"num_dense": 1, "dense_args": {"units": 32}}
    posterior = cf.AmortizedPosterior(cf.InvertibleNetwork(2, 1, coupling_settings=settings), network(6, units=32))
    cf.Trainer(posterior, seed=1).train_offline({"prior_draws": theta[:2000], "sim_data": x[:2000]}, 25, 64)
    off = posterior.sample(x[2000:], 100, seed=2).mean(axis=1)[:, 1] - theta[2000:, 1]
    assert np.sqrt(np.mean(off**2)) < 1.5 / np.sqrt(2 * 29)
