"""Many observed data sets, as files of every kind, through the workflow."""

from __future__ import annotations

import arviz
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from studies import Workflow

pytestmark = pytest.mark.workflow
DRAWS = 1000


def test_many_data_sets_in_every_format_are_read_alike_and_get_draws_of_their_own(study: Workflow) -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    data = study.folder / "data"
    pd.DataFrame(x, columns=["left", "right"]).to_csv(data / "many.csv")
    np.save(data / "many.npy", x)
    np.savez(data / "many.npz", x=x)
    with h5py.File(data / "many.h5", "w") as file:
        file["x"] = x
    observations = {suffix: f"data/many.{suffix}" for suffix in ("csv", "npy", "npz", "h5")}
    study.edit(study.model, "def read_observation(path)", "def unused(path)")
    # A network of so few simulations knows little: fewer draws would hide it.
    study.configure(observations=observations, posterior__draws=DRAWS)
    results = study.results / "observations"
    targets = [f"results/small/observations/{name}/summary.csv" for name in observations]
    assert study.succeed(*targets, "results/small/observations/h5/posterior.nc")["infer"] == 4

    first = pd.read_csv(results / "csv/summary.csv")
    assert first["data_set"].tolist() == np.repeat(np.arange(30), 2).tolist()
    deviations = {}
    for name in observations:
        path = results / name / "draws.nc"
        np.testing.assert_array_equal(xr.open_dataset(path, group="observed_data")["x"], x)
        draws = xr.open_dataset(path, group="posterior")["a"].to_numpy()
        deviations[name] = (draws - draws.mean(axis=1, keepdims=True)).ravel()
        table = pd.read_csv(results / name / "summary.csv")
        assert table["data_set"].equals(first["data_set"])
        assert np.corrcoef(table["mean"], first["mean"])[0, 1] > 0.8
    # Draw i of one observation says nothing of draw i of another.
    correlations = np.corrcoef(list(deviations.values()))
    assert np.abs(correlations - np.eye(4)).max() < 0.2
    posterior = arviz.from_netcdf(results / "h5/posterior.nc")
    assert posterior.posterior["a"].sizes == {"chain": 1, "draw": DRAWS, "data_set": 30}
    table = pd.read_csv(results / "h5/summary.csv")
    np.testing.assert_allclose(posterior.posterior["a"].mean(("chain", "draw")), table["mean"][::2], rtol=1e-6)
    np.testing.assert_array_equal(posterior.observed_data["x"], x)
    assert {"prior", "prior_predictive", "posterior_predictive"} <= set(posterior.groups())
