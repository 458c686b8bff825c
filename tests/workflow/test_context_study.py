"""A study whose simulations have contexts and vary in length, and an observation of a length of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from studies import Workflow

from cinnflow.simulation.model_file import load_model
from cinnflow.simulation.seeds import generator
from cinnflow.store.description import read_description
from cinnflow.store.layout import Store

MODEL = '''"""Noisy points, as many as a context says; how noisy is a context too."""

import numpy as np

import cinnflow as cf


def draw(rng):
    return rng.normal(size=2)


def simulate(theta, rng, noise, n_obs):
    return theta + noise * rng.normal(size=(n_obs, 2))


def build():
    contexts = cf.ContextGenerator(
        batchable_context_fun=lambda rng: {"noise": rng.uniform(0.5, 2.0)},
        non_batchable_context_fun=lambda rng: {"n_obs": rng.integers(1, 13)},
    )
    prior = cf.Prior(draw, names=["a", "b"])
    return cf.GenerativeModel(prior, cf.Simulator(simulate, context_generator=contexts, max_length=12))
'''


def test_a_study_with_contexts_runs_and_its_observation_has_a_length_of_its_own(tmp_path):
    workflow = Workflow.create(tmp_path / "project")
    workflow.model.write_text(MODEL)
    observed = np.random.default_rng(0).normal(size=(5, 2))
    np.savez(workflow.folder / "data/five.npz", x=observed, noise=1.5)
    workflow.configure(
        simulations__rounds=1,
        observations={"five": "data/five.npz"},
        network={"summary": {"type": "deep_set"}, "inference": {"num_coupling_layers": 1}},
    )
    targets = [f"results/small/{name}" for name in ("draws/test.zarr/zarr.json", "observations/five/predictive.png")]
    workflow.succeed(*targets)
    assert not workflow.plan(*targets)

    (path,) = workflow.stores
    model = load_model(workflow.model).generative
    with xr.open_zarr(path, group="round-0") as split, xr.open_zarr(path, group="round-0/context") as context:
        lengths, n_obs, noise, seeds = (
            values.to_numpy() for values in (split["length"], context["n_obs"], context["noise"], split["seed"])
        )
    x = xr.open_zarr(path, group="round-0/data")["x"].to_numpy()
    assert x.shape == (8, 12, 2)
    np.testing.assert_array_equal(n_obs, lengths)
    assert len(set(lengths)) > 1
    for row, seed in enumerate(seeds):
        theta = model.draw(int(seed))
        wanted = theta + noise[row] * generator(int(seed), "simulator").normal(size=(lengths[row], 2))
        np.testing.assert_array_equal(x[row, : lengths[row]], wanted)
        assert np.isnan(x[row, lengths[row] :]).all()
    assert read_description(Store(path)).padded == ["x"]

    # The predictive simulations are of the observation's contexts.
    results = workflow.results / "observations/five"
    with xr.open_dataset(results / "posterior.nc", group="constant_data", engine="h5netcdf") as constant:
        assert {name: float(value) for name, value in constant.items()} == {"noise": 1.5, "n_obs": 5.0}
    (predictive,) = results.glob("*.zarr")
    table = pd.read_csv(results / "predictive.csv")
    assert len(table) == 10
    assert table["compared"].iloc[0] == 2
    np.testing.assert_array_equal(table["observed"], observed.ravel())
    assert (read_description(Store(predictive)).context, read_description(Store(predictive)).data) == (
        {"noise": [], "n_obs": []},
        {"x": [12, 2]},
    )
