"""Posteriors that are not trained but far from trivial, for the tests of what a posterior does."""

from __future__ import annotations

import numpy as np

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork, TimeSeriesNetwork

NAMES = ["location", "scale", "share"]
LOWER = np.array([-np.inf, 0.0, -1.0])
UPPER = np.array([np.inf, np.inf, 1.0])


def simulations(count: int = 40, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Parameters (count, 3), and data: a series of two channels and a number."""
    rng = np.random.default_rng(seed)
    theta = np.stack(
        [rng.normal(50.0, 20.0, count), rng.lognormal(3.0, 1.0, count), rng.uniform(-1.0, 1.0, count)], axis=1
    )
    series = theta[:, None, :2] + rng.normal(0.0, 30.0, (count, 7, 2))
    return theta, {"series": series, "pupils": rng.normal(763.0, 100.0, count)}


def posterior(summary: str = "deep_set", design: str = "affine", **kwargs) -> AmortizedPosterior:
    """An adapted posterior with random weights."""
    summaries = {"deep_set": DeepSet(4, units=8), "time_series": TimeSeriesNetwork(4, units=8), "none": None}
    settings = {"dense_args": {"units": 8}}
    made = AmortizedPosterior(
        InvertibleNetwork(3, 2, design, settings, permutation="learnable"),
        summaries[summary],
        names=NAMES,
        lower=LOWER,
        upper=UPPER,
        **kwargs,
    )
    made.adapt(*simulations())
    rng = np.random.default_rng(1)
    for weight in made.trainable_variables:
        weight.assign(weight + 0.2 * rng.standard_normal(weight.shape))
    return made
