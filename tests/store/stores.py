"""Small stores, and the jobs that fill them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.layout import Batch, Store

PARTS = {"code: build": "1", "seed": "7"}


def make_store(folder: Path) -> Store:
    """A store that is yet to be begun."""
    return Store(folder / "simulations" / "toy-0123abcd.zarr")


def make_model(simulate: Callable | None = None, parameters: int = 2) -> GenerativeModel:
    """A model with a standard normal prior and, without a simulator of its own, two arrays of data."""

    def default(theta: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": theta.sum() + rng.normal(size=(3, 2)), "n": rng.integers(9)}

    names = [f"p{i}" for i in range(parameters)]
    return GenerativeModel(
        Prior(lambda rng: rng.normal(size=parameters), names, lower=[-50, *[-np.inf] * (parameters - 1)]),
        Simulator(simulate or default),
    )


def make_external_model(folder: Path, script: str) -> GenerativeModel:
    """The same prior, and a shell script; in it, $1 is p0, $2 the seed and $3 the CSV file to write."""
    prior = Prior(lambda rng: rng.normal(size=2), ["p0", "p1"])
    model = GenerativeModel(prior, ExternalSimulator(["sh", "-c", script, "sh", "{p0}", "{seed}", "{out}"], "x.csv"))
    model.bind(folder)
    return model


def fill(
    store: Store, model: GenerativeModel, split: str = "round-0", batches: int = 1, size: int = 8, **limits: object
) -> Store:
    """Runs the first batches of a split."""
    for number in range(batches):
        run_batch(Batch(store, split, number, size), model, 7, PARTS, Limits(**limits))
    return store


def contents(store: Store) -> dict[str, bytes]:
    """Every file of a store, and beside it, by its path; how long simulations took is left out."""
    files = [path for path in store.path.parent.rglob("*") if path.is_file()]
    named = {path.relative_to(store.path.parent).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if "/seconds/c/" not in name}


def in_child(function: Callable[[], object]) -> int:
    """Starts a process that runs a function; returns its id."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def exit_code(pid: int) -> int:
    """Waits for a process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
