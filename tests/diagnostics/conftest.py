"""Posteriors that are known to be right, or wrong in a known way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Case:
    """Posterior draws (data sets, draws, parameters), true values (data sets, parameters) and names."""

    draws: np.ndarray
    truths: np.ndarray
    names: list[str]


def make_gaussian(
    parameters: int = 3,
    data_sets: int = 500,
    draws: int = 200,
    *,
    noise: float = 0.5,
    width: float = 1.0,
    shift: float = 0.0,
    seed: int = 0,
) -> Case:
    """Conjugate Gaussian: theta ~ N(0, 1), x ~ N(theta, noise²), so that theta | x ~ N(x, noise²) / (1 + noise²).

    `width` multiplies the posterior's sd, `shift` moves it by as many of them.
    """
    rng = np.random.default_rng(seed)
    truths = rng.normal(size=(data_sets, parameters))
    data = truths + noise * rng.normal(size=truths.shape)
    sd = noise / np.sqrt(1 + noise**2)
    means = data / (1 + noise**2) + shift * sd
    values = means[:, None] + width * sd * rng.normal(size=(data_sets, draws, parameters))
    return Case(values, truths, [f"theta_{index}" for index in range(parameters)])


def make_prior_only(parameters: int = 3, data_sets: int = 500, draws: int = 200, *, seed: int = 0) -> Case:
    """A posterior that is the prior: calibrated, and of no use."""
    rng = np.random.default_rng(seed)
    truths = rng.normal(size=(data_sets, parameters))
    values = rng.normal(size=(data_sets, draws, parameters))
    return Case(values, truths, [f"theta_{index}" for index in range(parameters)])


@pytest.fixture(scope="session")
def gaussian() -> Callable[..., Case]:
    return make_gaussian


@pytest.fixture(scope="session")
def right() -> Case:
    return make_gaussian()


@pytest.fixture(scope="session")
def prior_only() -> Callable[..., Case]:
    return make_prior_only


@pytest.fixture(scope="session")
def make_case() -> type[Case]:
    return Case
