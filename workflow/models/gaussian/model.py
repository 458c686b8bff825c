"""BayesFlow's quickstart: the mean of normal data under a normal prior, whose posterior is known."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import cinnflow as cf

DIMENSIONS = 4


def draw(rng: np.random.Generator, batch_size: int) -> np.ndarray:
    """Means (batch_size, 4) from N(0, I)."""
    return rng.standard_normal((batch_size, DIMENSIONS))


def simulate(theta: np.ndarray, rng: np.random.Generator, n_obs: int) -> dict[str, np.ndarray]:
    """Data sets (batch_size, n_obs, 4) of observations from N(theta, I)."""
    return {"x": theta[:, None, :] + rng.standard_normal((len(theta), n_obs, DIMENSIONS))}


def build(n_obs: int = 50) -> cf.GenerativeModel:
    """Prior and simulator, for data sets of this size."""
    prior = cf.Prior(draw, names=[f"mean_{i + 1}" for i in range(DIMENSIONS)], batched=True)
    return cf.GenerativeModel(prior, cf.Simulator(lambda theta, rng: simulate(theta, rng, n_obs), batched=True))


def read_observation(path: str | Path) -> dict[str, np.ndarray]:
    """One data set (n_obs, 4) from a CSV file; lines that start with # are comments."""
    with Path(path).open(encoding="utf-8") as file:
        _, *rows = csv.reader(line for line in file if not line.startswith("#"))
    return {"x": np.array(rows, float)}


def exact_posterior(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean (4,) and standard deviation of the posterior of each mean, given a data set (n_obs, 4)."""
    return x.sum(axis=0) / (len(x) + 1), 1 / np.sqrt(len(x) + 1)


labels = {"x": "value", "x_0": "observation"}

_EXACT = "The exact posterior, N(sum x / 51, 1 / 51): mean and 95% interval"

published = [
    {
        "quantity": f"mean_{i + 1}",
        "value": mean,
        "interval": (round(mean - 0.274, 3), round(mean + 0.274, 3)),
        "source": _EXACT,
    }
    for i, mean in enumerate([-0.256, 0.105, -0.314, -0.863])
]
"""Of data/gaussian_means.csv."""


def write_observation(seed: int, n_obs: int = 50) -> str:
    """A data set as a CSV file, with means drawn from the prior."""
    rng = np.random.default_rng(seed)
    theta = draw(rng, 1)
    rows = [",".join(f"{value:.6f}" for value in row) for row in simulate(theta, rng, n_obs)["x"][0]]
    command = f"python workflow/models/gaussian/model.py --seed {seed}"
    about = f"# Simulated: {command}; true means {theta[0].round(4).tolist()}"
    return "\n".join([about, ",".join(f"x_{i + 1}" for i in range(DIMENSIONS)), *rows]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=write_observation.__doc__)
    parser.add_argument("--seed", type=int, required=True)
    print(write_observation(parser.parse_args().seed), end="")
