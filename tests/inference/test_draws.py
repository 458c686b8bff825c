"""The draws artifact: what is written is read, and its zarr.json stands for all of it."""

import hashlib
import warnings

import numpy as np
import pytest
import zarr

from cinnflow.inference.draws import Draws, read_draws, read_fits, read_summaries, write_draws
from cinnflow.inference.errors import DrawsError
from cinnflow.inference.load import judged_fit


def some_draws(seed=0):
    rng = np.random.default_rng(seed)
    return Draws(
        names=["a", "b", "ratio"],
        parameters=2,
        draws=rng.normal(size=(6, 10, 3)),
        truths=rng.normal(size=(6, 3)),
        log_prob=rng.normal(size=6),
        latent=rng.normal(size=(12, 2)),
        summaries=rng.normal(size=(6, 4)),
        fits={"fit/round-1/member-0/network.keras": hashlib.sha256(b"network").hexdigest()},
    )


def test_what_is_written_is_read(tmp_path):
    written = some_draws()
    write_draws(tmp_path / "test.zarr", written)
    read = read_draws(tmp_path / "test.zarr")
    assert (read.names, read.parameters, read.fits) == (written.names, written.parameters, written.fits)
    assert read_fits(tmp_path / "test.zarr") == written.fits
    np.testing.assert_array_equal(read_summaries(tmp_path / "test.zarr"), written.summaries)
    for name in ("draws", "truths", "log_prob", "latent", "summaries"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


@pytest.mark.parametrize(("seed", "same"), [(0, True), (1, False)])
def test_the_metadata_change_with_the_content_and_with_nothing_else(tmp_path, seed, same):
    write_draws(tmp_path / "test.zarr", some_draws())
    before = (tmp_path / "test.zarr" / "zarr.json").read_bytes()
    write_draws(tmp_path / "test.zarr", some_draws(seed))
    assert ((tmp_path / "test.zarr" / "zarr.json").read_bytes() == before) is same
    assert [path.name for path in tmp_path.iterdir()] == ["test.zarr"]


def test_a_fit_that_was_trained_anew_is_told_apart_from_the_one_that_was_judged(tmp_path):
    write_draws(tmp_path / "draws" / "test.zarr", some_draws())
    network = tmp_path / "fit" / "round-1" / "member-0" / "network.keras"
    network.parent.mkdir(parents=True)
    network.write_bytes(b"network")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judged_fit(tmp_path) == [network]
    network.write_bytes(b"another")
    with pytest.warns(UserWarning, match="trained anew since: run snakemake"):
        assert judged_fit(tmp_path) == [network]


@pytest.mark.parametrize("damaged", ["zarr.json", "draws/c/0/0/0", "truths/zarr.json"])
def test_damaged_draws_are_told_with_what_to_do(tmp_path, damaged):
    write_draws(tmp_path / "test.zarr", some_draws())
    path = tmp_path / "test.zarr" / damaged
    path.write_bytes(path.read_bytes()[:-5] + b"12345")
    with pytest.raises(DrawsError, match=r"test.zarr is damaged .*delete it and start snakemake again"):
        read_draws(tmp_path / "test.zarr")


def test_draws_of_earlier_versions_name_their_fits_alone(tmp_path):
    write_draws(tmp_path / "test.zarr", some_draws())
    zarr.open_group(tmp_path / "test.zarr", mode="a").attrs["fits"] = ["fit/member-0/network.keras"]
    assert read_draws(tmp_path / "test.zarr").fits == {"fit/member-0/network.keras": ""}
