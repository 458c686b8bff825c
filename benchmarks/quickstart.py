"""How far posteriors are from the truth on BayesFlow's quickstart and three relatives, whose posteriors are known.

Trains with cinnflow's own defaults, the architecture of BayesFlow's tutorial (four affine coupling layers, a DeepSet of
ten summaries) and its 10 × 1000 updates of batch 32, and prints a table:

    python benchmarks/quickstart.py                      all cases, one seed
    python benchmarks/quickstart.py gaussian --seeds 3   one case, three networks

Cases, all of four parameters θ and observations x ~ N(θ, I):
    gaussian    θ ~ N(0, I), 50 observations: KL to the exact posterior, paired on 100,000 fresh data sets
    varying     the same with 1 to 100 observations, as non-batchable context: KL at 1, 10, 50 and 100
    uniform     θ ~ U(-1, 1), 5 observations: moments against quadrature, and draws beyond the bounds; spline couplings,
                since no scale and shift cuts a normal distribution off
    correlated  θ ~ N(0, S) with correlations of 0.8, 5 observations: moments against the exact ones
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

import cinnflow as cf

PARAMETERS, LARGEST = 4, 100
FRESH_DATA_SETS, DATA_SETS_AT_ONCE = 100_000, 5_000
COVARIANCE = 0.2 * np.eye(PARAMETERS) + 0.8


def gaussian_prior(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.standard_normal((count, PARAMETERS))


def uniform_prior(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(-1.0, 1.0, (count, PARAMETERS))


def correlated_prior(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.multivariate_normal(np.zeros(PARAMETERS), COVARIANCE, count)


def observe(theta: np.ndarray, n_obs: int, rng: np.random.Generator) -> np.ndarray:
    """Observations (data sets, n_obs, parameters)."""
    return theta[:, None] + rng.standard_normal((len(theta), n_obs, theta.shape[1]))


def train(
    prior: Callable, n_obs: tuple[int, int], seed: int, epochs: int, design: str = "affine", **bounds
) -> cf.AmortizedPosterior:
    """A posterior after the tutorial's training, with a number of observations between two for each batch; all that is
    not an argument here is cinnflow's default."""

    def model(batch_size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        theta = prior(rng, batch_size)
        return {"prior_draws": theta, "sim_data": observe(theta, int(rng.integers(*n_obs, endpoint=True)), rng)}

    posterior = cf.AmortizedPosterior(
        cf.InvertibleNetwork(PARAMETERS, num_coupling_layers=4, coupling_design=design, seed=seed),
        cf.DeepSet(summary_dim=10, seed=seed),
        **bounds,
    )
    cf.Trainer(posterior, model, seed=seed).train_online(epochs=epochs, iterations_per_epoch=1000, batch_size=32)
    return posterior


def divergence(posterior: cf.AmortizedPosterior, n_obs: int, data_sets: int) -> tuple[float, float]:
    """Mean over data sets of KL(exact | posterior) in nats, and its standard error; for θ ~ N(0, I)."""
    differences = []
    for part in range(data_sets // DATA_SETS_AT_ONCE):
        rng = np.random.default_rng([2026, n_obs, part])
        theta = gaussian_prior(rng, DATA_SETS_AT_ONCE)
        x = observe(theta, n_obs, rng)
        exact = stats.norm.logpdf(theta, x.sum(axis=1) / (n_obs + 1), (n_obs + 1) ** -0.5).sum(axis=1)
        differences.append(exact - posterior.log_prob(theta, x))
    pooled = np.concatenate(differences)
    return float(pooled.mean()), float(pooled.std() / np.sqrt(len(pooled)))


def uniform_moments(x: np.ndarray, points: int = 4001) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (data sets, parameters) under the uniform prior, by quadrature."""
    grid = np.linspace(-1.0, 1.0, points)
    exponent = -0.5 * x.shape[1] * np.square(grid - x.mean(axis=1)[..., None])
    weights = np.exp(exponent - exponent.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mean = weights @ grid
    return mean, np.sqrt(np.maximum(weights @ grid**2 - mean**2, 0.0))


def correlated_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (data sets, parameters) under the correlated prior."""
    covariance = np.linalg.inv(np.linalg.inv(COVARIANCE) + x.shape[1] * np.eye(PARAMETERS))
    mean = x.sum(axis=1) @ covariance
    return mean, np.broadcast_to(np.sqrt(np.diag(covariance)), mean.shape)


def moment_errors(
    posterior: cf.AmortizedPosterior, prior: Callable, moments: Callable, n_obs: int, data_sets: int = 500
) -> tuple[float, float, float]:
    """Errors of the means, in units of the prior's standard deviation, and of the standard deviations, relative: root
    mean squares over data sets; and the share of draws beyond the bounds."""
    rng = np.random.default_rng(2027)
    theta = prior(rng, data_sets)
    x = observe(theta, n_obs, rng)
    draws = posterior.sample(x, 20_000, seed=1)
    mean, sd = moments(x)
    spread = prior(rng, 100_000).std(axis=0)
    outside = np.mean((draws < posterior.lower) | (draws > posterior.upper))
    mean_error = np.sqrt(np.mean(np.square((draws.mean(axis=1) - mean) / spread)))
    sd_error = np.sqrt(np.mean(np.square(draws.std(axis=1) / sd - 1.0)))
    return float(mean_error), float(sd_error), float(outside)


def run(case: str, seed: int, epochs: int, data_sets: int) -> list[str]:
    """Trains one network, and measures it: what and how much, in words."""
    if case == "gaussian":
        posterior = train(gaussian_prior, (50, 50), seed, epochs)
        return ["KL {:.4f} ± {:.4f} nats".format(*divergence(posterior, 50, data_sets))]
    if case == "varying":
        posterior = train(gaussian_prior, (1, LARGEST), seed, epochs)
        return [
            "n_obs {:3d}: KL {:.4f} ± {:.4f} nats".format(n_obs, *divergence(posterior, n_obs, data_sets))
            for n_obs in (1, 10, 50, 100)
        ]
    if case == "uniform":
        posterior = train(uniform_prior, (5, 5), seed, epochs, "spline", lower=-1.0, upper=1.0)
        errors = moment_errors(posterior, uniform_prior, uniform_moments, 5)
    else:
        posterior = train(correlated_prior, (5, 5), seed, epochs)
        errors = moment_errors(posterior, correlated_prior, correlated_moments, 5)
    return ["means {:.2%} of a prior sd off, sds {:.2%} off; {:.2%} of the draws beyond the bounds".format(*errors)]


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = ["gaussian", "varying", "uniform", "correlated"]
    parser.add_argument("cases", nargs="*", metavar="case", help=f"{', '.join(cases)}; all without")
    parser.add_argument("--seeds", type=int, default=1, help="networks for each case")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10, help="of 1000 updates")
    parser.add_argument("--data-sets", type=int, default=FRESH_DATA_SETS, help="fresh ones, for a KL")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if unknown := set(args.cases) - set(cases):
        parser.error(f"takes {', '.join(cases)}, got {', '.join(sorted(unknown))}")

    from cinnflow.networks.device import use_device

    print(f"python {Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}, on {use_device(args.threads)}")
    for case in args.cases or cases:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            start = time.process_time()
            lines = run(case, seed, args.epochs, args.data_sets)
            for line in lines:
                print(f"{case:10s}  seed {seed}  {line}", flush=True)
            print(f"{case:10s}  seed {seed}  {time.process_time() - start:.0f} s of CPU, in all", flush=True)


if __name__ == "__main__":
    main()
