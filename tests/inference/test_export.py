"""Posterior files: ArviZ opens them, and the table says what the draws say."""

import time

import arviz
import numpy as np
import pytest

from cinnflow.inference.errors import DrawsError
from cinnflow.inference.export import (
    SUMMARIES,
    draws_each,
    posterior_table,
    read_first,
    write_draws,
    write_inference_data,
)
from cinnflow.inference.predictive_draws import is_repeated, predictive_rows


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def write(folder, rng, data_sets=1, labels=None):
    """A whole posterior of data sets, and what it was written from."""
    draws = {"beta": rng.normal(size=(data_sets, 50)), "R0": rng.normal(size=(data_sets, 50))}
    prior = {name: rng.normal(size=20) for name in draws}
    observed = {"cases": np.arange(14.0 * data_sets).reshape(data_sets, 14)}
    before, after = ({"cases": rng.poisson(3.0, size=(n, 14)).astype(float)} for n in (8, 5))
    summaries, contexts = rng.normal(size=(data_sets, 3)), {"length": np.full(data_sets, 14.0)}
    prior_predictive = (np.arange(2, 10), before)
    write_draws(
        folder / "draws.nc", draws, prior, prior_predictive, observed, summaries, {"study": "mine"}, contexts
    )  # fmt: skip
    write_inference_data(folder / "posterior.nc", folder / "draws.nc", (np.arange(0, 50, 10), after), labels)
    return draws, observed, before, after


@pytest.mark.parametrize("data_sets", [1, 3])
def test_arviz_opens_the_file_with_names_groups_and_coordinates(tmp_path, rng, data_sets):
    draws, observed, before, after = write(tmp_path, rng, data_sets, {"cases": "boys in bed", "cases_0": "day"})
    data = arviz.from_netcdf(tmp_path / "posterior.nc")
    groups = {"posterior", "posterior_predictive", "prior", "prior_predictive", "observed_data", "constant_data"}
    assert set(data.groups()) == groups
    assert data.prior_predictive["draw"].to_numpy().tolist() == list(range(2, 10))
    assert data.posterior.sizes["draw"] == 50
    np.testing.assert_array_equal(np.atleast_2d(data.posterior["beta"][0].to_numpy().T), draws["beta"])
    np.testing.assert_array_equal(data.observed_data["cases"].to_numpy().reshape(data_sets, 14), observed["cases"])
    np.testing.assert_array_equal(data.posterior_predictive["cases"].to_numpy().reshape(5, 14), after["cases"])
    np.testing.assert_array_equal(data.prior_predictive["cases"][0], before["cases"])
    # A predictive data set carries the number of the draw that it was simulated with.
    paired = data.posterior["beta"].sel(draw=data.posterior_predictive["draw"])
    np.testing.assert_array_equal(np.atleast_2d(paired[0].to_numpy().T)[0], draws["beta"][0, ::10])
    assert data.posterior.attrs["study"] == "mine"
    assert data.observed_data["cases"].attrs["long_name"] == "boys in bed"
    assert data.posterior_predictive["cases_0"].attrs["long_name"] == "day"
    assert ("data_set" in data.posterior.coords) == (data_sets > 1)


def test_the_same_posterior_gives_the_same_bytes(tmp_path):
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, np.random.default_rng(0))
        time.sleep(1.0)  # HDF5 would write down the second at which a group was made
        files.append([(tmp_path / name / file).read_bytes() for file in ("draws.nc", "posterior.nc")])
    assert files[0] == files[1]


def test_the_first_data_set_is_read_back(tmp_path, rng):
    draws, observed, _, after = write(tmp_path, rng, data_sets=3)
    np.testing.assert_array_equal(read_first(tmp_path / "posterior.nc", "posterior")["R0"], draws["R0"][0])
    np.testing.assert_array_equal(read_first(tmp_path / "draws.nc", "observed_data")["cases"], observed["cases"][0])
    simulated = read_first(tmp_path / "posterior.nc", "posterior_predictive")
    np.testing.assert_array_equal(simulated["cases"], after["cases"])
    assert read_first(tmp_path / "draws.nc", SUMMARIES)["summaries"].shape == (3,)


@pytest.mark.parametrize(("data_sets", "draws"), [(1, 4000), (500, 4000), (10_000, 200), (10**6, 100)])
def test_many_data_sets_share_the_draws(data_sets, draws):
    assert draws_each(data_sets, 4000, 2_000_000) == draws
    assert draws_each(data_sets, 50, 2_000_000) == 50


def test_half_of_the_predictive_simulations_spread_over_the_draws_and_half_take_one():
    assert predictive_rows(np.arange(4), 4000).tolist() == [0, 0, 2473, 0]
    assert is_repeated(np.arange(4)).tolist() == [False, True, False, True]
    spread = np.arange(0, 256, 2)
    for draws in (1, 2, 7, 400, 4000):
        rows = predictive_rows(np.arange(2 * draws), draws)[::2]
        assert sorted(rows) == list(range(draws))
    for number in (10, 40, 128):
        quarters = np.histogram(predictive_rows(spread[:number], 4000), 4, (0, 4000))[0]
        assert np.ptp(quarters) <= 2, "each member of an ensemble, whose draws follow each other, has its share"


def test_the_table_gives_moments_quantiles_and_contraction(rng):
    prior = {"a": rng.normal(0, 2, 100_000)}
    table = posterior_table({"a": rng.normal(1, 1, (1, 100_000))}, prior)
    row = table.iloc[0]
    assert list(table.columns) == ["parameter", "mean", "sd", "q05", "q50", "q95", "contraction"]
    np.testing.assert_allclose([row["mean"], row["sd"], row["q50"]], [1, 1, 1], atol=0.02)
    np.testing.assert_allclose([row["q05"], row["q95"]], [1 - 1.645, 1 + 1.645], atol=0.02)
    assert row["contraction"] == pytest.approx(0.75, abs=0.01)


def test_what_is_not_finite_is_not_available(rng):
    draws, prior = rng.normal(size=(1, 9)), rng.normal(size=9)
    holes, steps = np.where(draws > 0, draws, np.nan), np.where(draws > 0, draws, np.inf)
    quantities = {"a": draws, "holes": holes, "steps": steps, "b": draws}
    table = posterior_table(
        quantities, {"a": prior, "holes": prior, "steps": prior, "b": np.where(prior > 0, 1, np.nan)}
    )
    numbers = table.set_index("parameter").notna()
    assert numbers.loc["a"].all() and not numbers.loc[["holes", "steps"]].any(axis=None)
    assert list(numbers.columns[~numbers.loc["b"]]) == ["contraction"]


def test_each_of_many_data_sets_has_its_rows(rng):
    table = posterior_table(
        {"a": np.arange(6.0).reshape(3, 2), "b": np.zeros((3, 2))}, {"a": rng.normal(size=9), "b": rng.normal(size=9)}
    )
    assert list(table["data_set"]) == [0, 0, 1, 1, 2, 2]
    assert list(table.loc[table["parameter"] == "a", "mean"]) == [0.5, 2.5, 4.5]


def test_a_damaged_file_of_draws_is_told_with_what_to_do(tmp_path):
    (tmp_path / "draws.nc").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(DrawsError, match=r"draws.nc is damaged .*delete it and start snakemake again"):
        read_first(tmp_path / "draws.nc", "posterior")
