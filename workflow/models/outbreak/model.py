"""Influenza in an English boarding school, 1978: a stochastic SIR epidemic, run as an external program."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

import cinnflow as cf

# Independent log-normal priors, each with its median and the standard deviation of its logarithm; README.md says why.
NAMES = ["beta", "gamma", "initial_infected", "overdispersion"]
MEDIANS = [1.2, 0.35, 3.0, 0.1]
LOG_SDS = [0.6, 0.5, 0.7, 0.8]


def draw(rng: np.random.Generator) -> np.ndarray:
    """One parameter vector (4,)."""
    return rng.lognormal(np.log(MEDIANS), LOG_SDS)


def read_cases(path: str | Path) -> dict[str, np.ndarray]:
    """Pupils in bed, day by day (days,), from a CSV file with a column in_bed; lines that start with # are comments."""
    with Path(path).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    try:
        return {"in_bed": np.array([float(row["in_bed"]) for row in rows])}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: takes a CSV file whose column in_bed has a number in each row: {error!r}") from error


def read_observation(path: str | Path) -> dict[str, np.ndarray]:
    """The observed epidemic, in the form that the program writes."""
    return read_cases(path)


def build() -> cf.GenerativeModel:
    """Prior and epidemic."""
    prior = cf.Prior(draw, names=NAMES, lower=0.0)
    simulator = cf.ExternalSimulator(
        [sys.executable, "-I", "-S", "epidemic.py", "--params", "{params}", "--seed", "{seed}", "--out", "{out}"],
        out="cases.csv",
        read=read_cases,
        files=["epidemic.py"],
    )
    return cf.GenerativeModel(prior, simulator)


def derived_quantities(theta: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The basic reproduction number, and the mean infectious period in days."""
    return {"R0": theta["beta"] / theta["gamma"], "infectious_period": 1 / theta["gamma"]}


def _wider(theta: dict[str, np.ndarray], factor: float) -> np.ndarray:
    """log(density of the prior with `factor` times the standard deviations / density of the prior) + constant."""
    z = [(np.log(theta[name]) - np.log(m)) / sd for name, m, sd in zip(NAMES, MEDIANS, LOG_SDS, strict=True)]
    return (1 - 1 / factor**2) / 2 * np.sum(np.square(z), axis=0)


alternative_priors = {
    "twice as wide": lambda theta: _wider(theta, 2.0),
    "half as wide": lambda theta: _wider(theta, 0.5),
}

labels = {
    "in_bed": "boys in bed",
    "in_bed_0": "days since 22 January",
    "beta": "transmission rate β, per day",
    "gamma": "recovery rate γ, per day",
    "initial_infected": "boys infected on 22 January, i₀",
    "overdispersion": "excess variance of a count, α",
    "R0": "basic reproduction number R₀",
    "infectious_period": "mean infectious period 1/γ, days",
}

_KEELING_ROHANI = (
    "Keeling & Rohani (2008), Modeling Infectious Diseases in Humans and Animals: deterministic SIR, "
    "transmission rate 1.66 per day, infectious period 2.2 days"
)
_GRINSZTAJN = (
    "Grinsztajn et al. (2021), doi:10.1002/sim.9164: deterministic SIR with negative-binomial counts, "
    "one initial infected; posterior mean and 95% interval of its Stan program"
)
_LEAST_SQUARES = (
    "Least-squares fit of the deterministic SIR to these 14 days, initial infected free (our own computation)"
)

published = [
    {"quantity": "R0", "value": 3.65, "interval": None, "source": f"{_KEELING_ROHANI}; R0 is their product"},
    {"quantity": "infectious_period", "value": 2.2, "interval": None, "source": _KEELING_ROHANI},
    {"quantity": "R0", "value": 3.22, "interval": (2.74, 3.83), "source": _GRINSZTAJN},
    {"quantity": "infectious_period", "value": 1.86, "interval": (1.56, 2.21), "source": _GRINSZTAJN},
    {"quantity": "R0", "value": 3.92, "interval": None, "source": _LEAST_SQUARES},
    {"quantity": "infectious_period", "value": 2.19, "interval": None, "source": _LEAST_SQUARES},
]
