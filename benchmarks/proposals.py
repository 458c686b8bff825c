"""Truncated proposals beside the prior: a damped oscillation whose posterior is far narrower than its prior.

    python benchmarks/proposals.py [--observations 3] [--rounds 4]

Each study has the same budget, and an ensemble of two networks. The exact posterior comes from a grid.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import studies

import cinnflow as cf

TIMES = np.linspace(0, 10, 25)
NOISE = 0.1
LOWER, UPPER = np.array([0.5, 0.2, 0.0]), np.array([2.0, 4.0, 0.5])
MODEL = f"""
import numpy as np

import cinnflow as cf

TIMES = np.linspace(0, 10, 25)
LOWER, UPPER = {LOWER.tolist()}, {UPPER.tolist()}


def draw(rng):
    return rng.uniform(LOWER, UPPER)


def simulate(theta, rng):
    amplitude, frequency, damping = theta
    oscillation = amplitude * np.exp(-damping * TIMES) * np.sin(frequency * TIMES)
    return {{"x": oscillation + {NOISE} * rng.normal(size=25)}}


def build():
    prior = cf.Prior(draw, names=["amplitude", "frequency", "damping"], lower=LOWER, upper=UPPER)
    return cf.GenerativeModel(prior, cf.Simulator(simulate))
"""
PER_ROUND = 1024
DRAWS = 4000
STEPS = 121
"""Points of the grid along each parameter."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    rows = []
    for number in range(args.observations):
        rng = np.random.default_rng(number)
        theta = rng.uniform(LOWER + 0.2 * (UPPER - LOWER), UPPER - 0.2 * (UPPER - LOWER))
        x = oscillation(theta) + NOISE * rng.normal(size=len(TIMES))
        for proposal in ("prior", "truncated"):
            with tempfile.TemporaryDirectory() as folder:
                found = result(Path(folder), x, proposal, args.rounds)
            rows.append({"observation": number, "proposal": proposal, **found})
    studies.show(f"{args.rounds} rounds of {PER_ROUND} simulations", rows)


def oscillation(theta: np.ndarray) -> np.ndarray:
    """The oscillation without noise (..., times) of parameters (..., 3)."""
    amplitude, frequency, damping = (theta[..., i, None] for i in range(3))
    return amplitude * np.exp(-damping * TIMES) * np.sin(frequency * TIMES)


def result(folder: Path, x: np.ndarray, proposal: str, rounds: int) -> dict[str, Any]:
    """Runs a study, and compares its posterior of the observation with the exact one."""
    simulations: dict[str, Any] = {"rounds": rounds, "per_round": PER_ROUND, "batch_size": 128, "test": 256}
    if proposal == "truncated":
        simulations |= {"proposal": proposal, "observation": "o"}
    studies.make_study(
        folder,
        MODEL,
        simulations=simulations,
        network={"summary": {"type": "none"}},
        training={"ensemble": 2},
        observations={"o": "o.npy"},
    )
    np.save(folder / "o.npy", x[None])
    cost, _ = studies.snakemake(folder, "--cores", "all")
    exact, log_density = exact_posterior(x)
    posterior = cf.load_posterior(folder / "results/benchmark")
    log_prob = posterior.log_prob(exact[None], {"x": x[None]})[0]
    summary = pd.read_csv(folder / "results/benchmark/diagnostics/summary.csv")
    checks = summary.filter(like="_verdict")
    return {
        "KL(exact, posterior), nats": float(np.mean(log_density - log_prob)),
        "checks that fail": f"{int((checks == 'fail').any().sum())} of {int(checks.notna().any().sum())}",
        "seconds": cost.wall,
    }


def exact_posterior(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws (draws, 3) from the exact posterior and their log density (draws,): a grid that narrows around it."""
    low, high = LOWER, UPPER
    for _ in range(4):
        axes = [np.linspace(a, b, STEPS + 1) for a, b in zip(low, high, strict=True)]
        middles = [(axis[1:] + axis[:-1]) / 2 for axis in axes]
        grid = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 3)
        log_likelihood = np.concatenate(
            [-0.5 * np.sum((x - oscillation(part)) ** 2, axis=-1) / NOISE**2 for part in np.array_split(grid, 200)]
        )
        mass = np.exp(log_likelihood - log_likelihood.max())
        mass /= mass.sum()
        cell = np.array([axis[1] - axis[0] for axis in axes])
        there = grid[mass > 1e-9 * mass.max()]
        low, high = np.maximum(LOWER, there.min(axis=0) - cell), np.minimum(UPPER, there.max(axis=0) + cell)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(grid), DRAWS, p=mass)
    return grid[chosen] + cell * rng.uniform(-0.5, 0.5, (DRAWS, 3)), np.log(mass[chosen] / np.prod(cell))


if __name__ == "__main__":
    main()
