"""The step that imports: what comes from the model file, and a file that changes under a run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from cinnflow.plan import Plan
from cinnflow.store.description import read_description
from cinnflow.store.layout import Store

SOURCE = Path(__file__).parents[2] / "src"
MODEL = """
import cinnflow as cf
def draw(rng): return rng.uniform(size=2)
def simulate(theta, rng): raise RuntimeError("nothing is simulated")
def build(): return cf.GenerativeModel(cf.Prior(draw, names=["rate", "share"], lower=0), cf.Simulator(simulate))
"""


def save(path, rows=20):
    rng = np.random.default_rng(rows)
    np.savez(path, theta=rng.uniform(size=(rows, 2)), x=rng.normal(size=(rows, 3)))


def step(folder, store):
    arguments = ["--store", str(store), "--source", "sims.npz", "--test", "6", "--batch-size", "8"]
    command = [sys.executable, "-m", "cinnflow.steps.import_source", *arguments, "--model=model.py", "--options", "{}"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_names_and_bounds_come_from_the_models_prior_and_an_edited_file_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    save(tmp_path / "sims.npz")
    config = {"study": "mine", "model": "model.py", "simulations": {"source": "sims.npz", "test": 6, "batch_size": 8}}
    plan = Plan.of(config)
    assert (plan.splits, plan.batches("round-0"), plan.simulations("round-0")) == (["round-0", "test"], 2, 14)
    ended = step(tmp_path, plan.store.path)
    assert ended.returncode == 0, ended.stderr
    assert "round-0: 14 simulations imported, 0 of them not finite" in ended.stdout
    description = read_description(plan.store)
    assert (description.parameters, description.lower, description.upper) == (["rate", "share"], [0, 0], [None, None])

    (tmp_path / "model.py").write_text(MODEL.replace("lower=0", "lower=-1"))
    assert Plan.of(config).fingerprint.differences(plan.fingerprint.parts) == ["parameters"]
    (tmp_path / "model.py").write_text(MODEL)
    save(tmp_path / "sims.npz", 21)
    ended = step(tmp_path, plan.store.path)
    assert ended.returncode == 1
    assert "sims.npz was changed since this run started: start snakemake again" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert Store(plan.store.path).committed("round-0") == [0, 1]
