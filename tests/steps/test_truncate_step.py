"""What cannot be truncated is refused before anything is computed."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest

from cinnflow.inference.observation import MOST_TRUNCATED_AROUND, ObservationError
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.workers import Limits
from cinnflow.steps import truncate
from cinnflow.store.batch import run_batch
from cinnflow.store.fingerprint import fingerprint
from cinnflow.store.layout import STATUS, Batch, Store, StoreError
from cinnflow.store.seal import seal

MODEL = """
import cinnflow as cf
def draw(rng): return rng.normal(size=2)
def simulate(theta, rng): return theta + rng.normal(size=2)
def build(): return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"]), cf.Simulator(simulate))
"""


@pytest.fixture
def arguments(tmp_path):
    """Of the step, for an observation of too many data sets."""
    (tmp_path / "model.py").write_text(MODEL)
    model = load_model(tmp_path / "model.py")
    meaning = fingerprint(model, {}, 7)
    store = Store(tmp_path / f"{meaning.store_name}.zarr")
    run_batch(Batch(store, "round-0", 0, 8), model.generative, 7, meaning.parts, Limits())
    (tmp_path / "round-0.json").write_text(seal(store, "round-0", 1, 8, 0.0, "")[0].text())
    np.save(tmp_path / "observed.npy", np.zeros((MOST_TRUNCATED_AROUND + 1, 2)))
    return Namespace(
        stores=tmp_path,
        manifest=tmp_path / "round-0.json",
        prior=store.name,
        store="model-of-round-1",
        model=str(tmp_path / "model.py"),
        options={},
        seed=7,
        observation=tmp_path / "observed.npy",
    )


def test_many_data_sets_are_refused(arguments):
    with pytest.raises(ObservationError, match=r"holds 17 data sets; .* set simulations.proposal: prior"):
        truncate._truncate(arguments)


def test_simulations_whose_region_is_gone_get_no_other_one(arguments):
    store = Store(arguments.stores / f"{arguments.store}.zarr")
    record = store.chunk("round-1", STATUS, 0)
    record.parent.mkdir(parents=True)
    record.write_bytes(b"")
    with pytest.raises(
        StoreError, match=r"where they were drawn, .*model-of-round-1.proposal, is gone: put it back, or"
    ):
        truncate._truncate(arguments)
