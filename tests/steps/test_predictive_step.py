"""The step of the predictive checks where simulations from the posterior fail."""

from __future__ import annotations

import sys
from pathlib import Path

import arviz
import numpy as np
import pandas as pd
import pytest

from cinnflow.inference.export import write_draws
from cinnflow.inference.predictive_draws import predictive_rows
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.workers import Limits
from cinnflow.steps import predictive
from cinnflow.store.batch import run_batch
from cinnflow.store.layout import Batch, Store

MODEL = """
import cinnflow as cf
def draw(rng): return rng.normal(size=1)
def simulate(theta, rng):
    if theta[0] > 0: raise ValueError("no such theta")
    return {"x": theta[0] + rng.normal(size=3)}
def build(): return cf.GenerativeModel(cf.Prior(draw, names=["a"]), cf.Simulator(simulate))
"""
SIMULATIONS = 80


@pytest.mark.parametrize(
    ("draws", "verdict", "shown"),
    [
        ([-1.0, 1.0, -2.0, 1.0], "pass", 20),  # of those for figures, 20 with draw 0 and as many with draw 2 succeed
        ([1.0, -1.0, -2.0, -3.0], "doubtful", 30),  # the draw that decides has no simulation
        ([1.0, 2.0, 3.0, 4.0], "doubtful", 0),
    ],
)
def test_failed_simulations_leave_a_verdict_and_a_posterior(tmp_path, monkeypatch, capsys, draws, verdict, shown):
    (tmp_path / "model.py").write_text(MODEL)
    theta = np.repeat(draws, 10)  # 40 draws, so that each simulation for figures has its own
    rng = np.random.default_rng(0)
    prior, x = rng.normal(size=30), {"x": rng.normal(size=(30, 3))}
    write_draws(
        tmp_path / "draws.nc", {"a": theta[None]}, {"a": prior}, (np.arange(30), x), {"x": np.full((1, 3), -1.0)},
        np.zeros((1, 2)), {},
    )  # fmt: skip
    store = Store(tmp_path / "predictive.zarr")
    for number in range(2):
        batch = Batch(store, "predictive-first", number, SIMULATIONS // 2)
        rows = predictive_rows(np.array(batch.indices), len(theta))
        run_batch(batch, load_model(tmp_path / "model.py").generative, 7, {}, Limits(), theta=theta[rows, None])

    arguments = {
        "store": store.path, "split": "predictive-first", "batches": 2, "batch-size": SIMULATIONS // 2,
        "model": tmp_path / "model.py", "options": "{}", "draws": tmp_path / "draws.nc",
        "table": tmp_path / "table.csv", "figure": tmp_path / "figure.png", "prior-figure": tmp_path / "prior.png",
        "posterior": tmp_path / "posterior.nc",
    }  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["predictive", *(f"--{name}={value}" for name, value in arguments.items())])
    predictive.main()
    assert "failed: their reasons stand in" in capsys.readouterr().out
    judged = predictive.predictive.verdict(pd.read_csv(tmp_path / "table.csv"))
    assert judged["verdict"].item() == verdict
    for name in ("figure.png", "prior.png"):
        assert Path(tmp_path / name).stat().st_size
    posterior = arviz.from_netcdf(tmp_path / "posterior.nc")
    found = posterior.posterior_predictive.sizes["draw"] if shown else 0
    assert found == shown
    assert ("posterior_predictive" in posterior.groups()) == (shown > 0)
