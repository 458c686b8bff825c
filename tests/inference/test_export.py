"""Posterior files: ArviZ opens them, and the table says what the draws say."""

import arviz
import numpy as np
import pytest

from cinnflow.inference.export import posterior_table, write_inference_data


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("data_sets", [1, 3])
def test_arviz_opens_the_file_with_names_and_groups(tmp_path, rng, data_sets):
    draws = {"beta": rng.normal(size=(data_sets, 50)), "R0": rng.normal(size=(data_sets, 50))}
    prior = {name: rng.normal(size=20) for name in draws}
    observed = {"cases": np.arange(14.0 * data_sets).reshape(data_sets, 14)}
    write_inference_data(tmp_path / "posterior.nc", draws, prior, observed, {"study": "mine"})
    data = arviz.from_netcdf(tmp_path / "posterior.nc")
    assert set(data.groups()) == {"posterior", "prior", "observed_data"}
    assert data.posterior.sizes["draw"] == 50
    np.testing.assert_array_equal(np.atleast_2d(data.posterior["beta"][0].to_numpy().T), draws["beta"])
    np.testing.assert_array_equal(data.observed_data["cases"].to_numpy().reshape(data_sets, 14), observed["cases"])
    assert data.posterior.attrs["study"] == "mine"


def test_the_same_posterior_gives_the_same_bytes(tmp_path, rng):
    arguments = ({"a": rng.normal(size=(1, 9))}, {"a": rng.normal(size=9)}, {"x": np.zeros((1, 3))}, {"study": "mine"})
    for name in ("first.nc", "second.nc"):
        write_inference_data(tmp_path / name, *arguments)
    assert (tmp_path / "first.nc").read_bytes() == (tmp_path / "second.nc").read_bytes()


def test_the_table_gives_moments_quantiles_and_contraction(rng):
    prior = {"a": rng.normal(0, 2, 100_000)}
    table = posterior_table({"a": rng.normal(1, 1, (1, 100_000))}, prior)
    row = table.iloc[0]
    assert list(table.columns) == ["parameter", "mean", "sd", "q05", "q50", "q95", "contraction"]
    np.testing.assert_allclose([row["mean"], row["sd"], row["q50"]], [1, 1, 1], atol=0.02)
    np.testing.assert_allclose([row["q05"], row["q95"]], [1 - 1.645, 1 + 1.645], atol=0.02)
    assert row["contraction"] == pytest.approx(0.75, abs=0.01)


def test_each_of_many_data_sets_has_its_rows(rng):
    table = posterior_table(
        {"a": np.arange(6.0).reshape(3, 2), "b": np.zeros((3, 2))}, {"a": rng.normal(size=9), "b": rng.normal(size=9)}
    )
    assert list(table["data_set"]) == [0, 0, 1, 1, 2, 2]
    assert list(table.loc[table["parameter"] == "a", "mean"]) == [0.5, 2.5, 4.5]
