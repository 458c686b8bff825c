"""What cannot be trained is refused before the first update."""

from __future__ import annotations

from argparse import Namespace

import pytest

from cinnflow.config import Training
from cinnflow.config_network import Network
from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.workers import Limits
from cinnflow.steps import train
from cinnflow.store.batch import run_batch
from cinnflow.store.fingerprint import fingerprint
from cinnflow.store.layout import Batch, Store
from cinnflow.store.seal import seal
from cinnflow.training.errors import TrainingError

MODEL = """
import cinnflow as cf
def draw(rng): return rng.poisson(2), 1.0
def simulate(theta, rng): return theta + rng.normal(size=2)
def build(): return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"], lower=0), cf.Simulator(simulate))
"""


@pytest.mark.parametrize("regime", ["rounds", "online"])
def test_parameters_on_their_bounds_or_without_any_spread_are_refused(tmp_path, regime):
    (tmp_path / "model.py").write_text(MODEL)
    model = load_model(tmp_path / "model.py")
    meaning = fingerprint(model, {}, 7)
    store = Store(tmp_path / f"{meaning.store_name}.zarr")
    run_batch(Batch(store, "round-0", 0, 64), model.generative, 7, meaning.parts, Limits())
    (tmp_path / "round-0.json").write_text(seal(store, "round-0", 1, 64, 0.0, "")[0].text())
    arguments = Namespace(
        stores=tmp_path,
        manifests=[tmp_path / "round-0.json"] if regime == "rounds" else [],
        meaning=store.name,
        model=str(tmp_path / "model.py"),
        options={},
        seed=7,
        network=Network(),
        training=Training(regime=regime),
    )
    with pytest.raises(TrainingError, match=r"% of the draws of a lie on its lower bound 0: .*; b is the same in all"):
        train._train(arguments, tmp_path)
