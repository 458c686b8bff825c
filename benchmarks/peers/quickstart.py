"""The quickstart's Gaussian, whose posterior is known: the same simulations and the same truth for every tool.

    theta ~ N(0, I), 4 parameters;   x_1, ..., x_50 ~ N(theta, I);   theta | x ~ N(sum x / 51, I / 51)

Each measurement script beside this file runs one task of one tool in its own environment and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np

STARTED = float(os.environ.get("BENCHMARK_STARTED", time.time()))
"""When the process was started, in seconds since the epoch: the driver says so, since an interpreter takes time too."""
PARAMETERS, ELEMENTS, BATCH = 4, 50, 32
DATA_SETS, DRAWS = 500, 1000
OFFLINE, OFFLINE_BATCH = 100_000, 256
"""Simulations that are there already, and how many of them an update takes."""


def simulate(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (count, 4) and data (count, 50, 4), in single precision as every tool takes them."""
    theta = rng.standard_normal((count, PARAMETERS))
    return theta.astype(np.float32), (theta[:, None] + rng.standard_normal((count, ELEMENTS, PARAMETERS))).astype(
        np.float32
    )


def divergence(log_prob: Callable[[np.ndarray, np.ndarray], np.ndarray], count: int = 20_000) -> dict[str, float]:
    """KL from the exact posterior (nats) and its standard error, paired on fresh data sets."""
    theta, x = simulate(count, np.random.default_rng(20_261))
    mean, variance = x.sum(axis=1, dtype=np.float64) / (ELEMENTS + 1), 1 / (ELEMENTS + 1)
    exact = -0.5 * np.sum((theta - mean) ** 2 / variance + np.log(2 * np.pi * variance), axis=1)
    difference = exact - np.asarray(log_prob(theta, x), np.float64).reshape(count)
    return {"kl": float(difference.mean()), "kl_error": float(difference.std() / np.sqrt(count))}


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Median wall time of a call, after one that compiles."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def epochs_a_second(epoch: Callable[[], object]) -> dict[str, float]:
    """Of training over simulations that are there: the second of two epochs, since the first compiles."""
    return {"epochs/s": 1 / seconds(epoch, repeats=1)}


def report(tasks: dict[str, Callable[[], dict[str, float]]]) -> None:
    """Runs the task that the command line names, and prints what it measured; the clock starts with the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=sorted(tasks))
    result = tasks[parser.parse_args().task]()
    sys.stdout.write("\n" + json.dumps(result) + "\n")


def since_start() -> float:
    """Seconds since the process was started."""
    return time.time() - STARTED
