import json
import os
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr
from stores import PARTS, contents, exit_code, fill, in_child, make_model, make_store

from cinnflow.simulation.outcome import Status
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.workers import Limits
from cinnflow.store import manifest as manifest_module
from cinnflow.store.batch import run_batch
from cinnflow.store.description import read_description
from cinnflow.store.journal import Journal
from cinnflow.store.layout import SEED, Batch, StoreError
from cinnflow.store.manifest import read_manifest, withdraw_stale
from cinnflow.store.reader import read_failures
from cinnflow.store.seal import mend_metadata, provenance, seal
from cinnflow.store.stored_simulations import read_simulations


def seal_all(store, split="round-0", batches=2, size=8, max_failed=0.05, options=""):
    return seal(store, split, batches, size, max_failed, options)[0]


def fails_below(limit):
    def simulate(theta, rng):
        if theta[0] < limit:
            raise ValueError(f"too small\nby {limit - theta[0]:.3f}")
        return {"x": theta.sum() + rng.normal(size=(3, 2)), "n": rng.integers(9)}

    return make_model(simulate)


@pytest.fixture
def store(tmp_path):
    return fill(make_store(tmp_path), make_model(), batches=2)


def test_a_sealed_split_opens_in_xarray_as_it_is(store):
    seal_all(store)
    fill(store, make_model(), "test")
    seal_all(store, "test", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = xr.open_zarr(store.path, group="round-0")
        tree = xr.open_datatree(store.path, engine="zarr")
        found = tree["round-0/data"].load()
    assert split.theta.dims == ("simulation", "parameter")
    assert list(split.parameter.values) == ["p0", "p1"]
    assert split.status.dims == split.seed.dims == ("simulation",)
    assert dict(split.sizes) == {"simulation": 16, "parameter": 2}
    assert found.x.dims == ("simulation", "x_0", "x_1")
    simulations = read_simulations(store.path.parent, [seal_all(store)])
    np.testing.assert_array_equal(split.theta, simulations.theta)
    np.testing.assert_array_equal(found.x, simulations.data["x"])
    assert tree["test"].sizes["simulation"] == 8


def test_a_seal_clears_up_after_a_job_that_was_killed_right_after_its_commit(store, monkeypatch):
    batch = Batch(store, "round-0", 2, 8)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda _: os._exit(0))
        assert exit_code(in_child(lambda: run_batch(batch, make_model(), 7, PARTS, Limits()))) == 0
    assert batch.committed
    assert batch.journal.exists()
    seal_all(store, batches=3)
    assert not store.scratch.exists()


def test_seals_of_two_studies_take_turns(store):
    fill(store, make_model(), batches=6)
    sealing = [in_child(lambda batches=batches: seal_all(store, batches=batches)) for batches in (6, 1, 5, 2, 4, 3)]
    assert [exit_code(pid) for pid in sealing] == [0] * 6
    assert zarr.open_group(store.path, mode="r")["round-0/theta"].shape[0] == 48


def test_metadata_only_grow(store):
    def length():
        return zarr.open_group(store.path, mode="r")["round-0/theta"].shape[0]

    one = seal_all(store, batches=1)
    assert length() == 8
    two = seal_all(store, batches=2)
    assert length() == 16
    sealed = contents(store)
    assert seal_all(store, batches=1) == one
    assert contents(store) == sealed
    assert [digests[:1] for digests in two.chunks.values()] == list(one.chunks.values())


def test_stores_filled_and_sealed_in_any_order_are_the_same(tmp_path, store):
    seal_all(store)
    fill(store, make_model(), "test")
    seal_all(store, "test", 1)
    other = fill(make_store(tmp_path / "other"), make_model(), "test", threads=3)
    seal_all(other, "test", 1)
    fill(other, make_model(), batches=1)
    seal_all(other, batches=1)
    seal_all(fill(other, make_model(), batches=2))
    assert contents(other) == contents(store)


def test_a_manifest_holds_nothing_that_changes_from_run_to_run(tmp_path, store):
    other = fill(make_store(tmp_path / "other"), make_model(), batches=2, threads=2)
    manifest = seal_all(store)
    assert manifest.text() == seal_all(other).text() == seal_all(store).text()
    assert sorted(manifest.chunks) == ["data/n", "data/x", "seed", "status", "theta"]
    assert manifest.counts == {"ok": 16, "crashed": 0, "timed out": 0, "not finite": 0, "unreadable": 0}
    path = tmp_path / "manifest.json"
    path.write_text(manifest.text())
    assert read_manifest(path) == manifest
    for damaged in ("", "{", "[]", '{"store": 1}'):
        path.write_text(damaged)
        with pytest.raises(StoreError, match=r"manifest.json is damaged.*delete it"):
            read_manifest(path)


@pytest.mark.parametrize(
    "array", ["theta/c/1/0", "data/x/c/1/0/0", "data/n/c/1", "seed/c/1", "status/c/1", "message/c/1"]
)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_chunk_stops_the_seal(store, array, damage):
    path = store.path / "round-0" / array
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[:-1] if damage == "cut" else b"")
    word = "missing" if damage == "missing" else "damaged"
    says = rf"round-0 cannot be sealed: .*{array} is {word}.*`cinnflow verify --configfile a.yaml --repair`"
    with pytest.raises(StoreError, match=says):
        seal_all(store, options=" --configfile a.yaml")
    assert not (store.path / "round-0/zarr.json").exists()
    seal_all(store, batches=1)


def test_too_many_failures_stop_the_seal_and_say_what_to_do(tmp_path):
    store = fill(make_store(tmp_path), fails_below(0), batches=2)
    with pytest.raises(StoreError) as raised:
        seal_all(store, options=" --configfile a.yaml")
    status = np.concatenate(
        [np.frombuffer((store.path / f"round-0/status/c/{i}").read_bytes()[:8], "u1") for i in (0, 1)]
    )
    failed = np.flatnonzero(status == Status.CRASHED)
    text = str(raised.value)
    assert f"{len(failed) / 16:.1%} of its 16 simulations failed ({len(failed)} crashed)" in text
    assert "more than simulations.max_failed: 0.05 allows" in text
    assert f"simulation {failed[0]}, crashed:\n    ValueError: too small\n    " in text
    assert text.count("too small") == 2 + text.count("raise ValueError")
    assert "cinnflow retry --configfile a.yaml --reason crashed" in text
    assert "raise simulations.max_failed" in text
    manifest = seal_all(store, max_failed=0.9)
    assert manifest.failed_share == len(failed) / 16
    simulations = read_simulations(store.path.parent, [manifest])
    assert len(simulations.theta) == len(simulations.data["x"]) == 16 - len(failed)
    assert (simulations.theta[:, 0] >= 0).all()
    failures = read_failures(store.path.parent, manifest)
    np.testing.assert_array_equal(failures.theta[failures.status != Status.OK, 0] < 0, True)
    assert len(failures.theta) == 16


@pytest.mark.parametrize(("simulations", "failures"), [(20, 1), (100, 5), (60, 3)])
def test_a_share_of_failures_that_is_just_allowed_seals(tmp_path, simulations, failures):
    seeds = [simulation_seed(7, "round-0", index) for index in range(simulations)]
    thetas = sorted(make_model().draw(seed)[0] for seed in seeds)
    store = fill(make_store(tmp_path), fails_below(thetas[failures]), size=simulations)
    assert seal_all(store, batches=1, size=simulations, max_failed=0.05).failed_share <= 0.05
    with pytest.raises(StoreError, match="does not seal"):
        seal_all(store, batches=1, size=simulations, max_failed=0.049)


def test_batches_whose_every_simulation_failed(tmp_path):
    store = fill(make_store(tmp_path), fails_below(0), batches=8, size=1)
    status = [(store.path / f"round-0/status/c/{number}").read_bytes()[0] for number in range(8)]
    manifest = seal_all(store, batches=8, size=1, max_failed=0.9)
    for number, code in enumerate(status):
        assert (manifest.chunks["data/x"][number] is None) == (code != Status.OK)
    assert len(read_simulations(store.path.parent, [manifest]).data["x"]) == status.count(Status.OK)
    assert np.isnan(zarr.open_group(store.path, mode="r")["round-0/data/x"][:]).sum() == 6 * status.count(
        Status.CRASHED
    )


def test_a_split_whose_every_simulation_failed(tmp_path):
    store = fill(make_store(tmp_path), fails_below(9), batches=2)
    with pytest.raises(StoreError) as raised:
        seal_all(store, max_failed=1.0)
    assert "100.0% of its 16 simulations failed (16 crashed), so there is nothing to learn" in str(raised.value)
    assert "raise simulations.max_failed" not in str(raised.value)


def test_a_lost_or_damaged_description_says_how_to_get_it_back(store):
    path = store.path / "zarr.json"
    before = path.read_bytes()
    path.write_bytes(before[:-9])
    with pytest.raises(StoreError, match="delete it and the commit record of one batch"):
        seal_all(store)
    path.unlink()
    with pytest.raises(StoreError, match=r"zarr.json is missing: delete one commit record, .*/status/c/0"):
        seal_all(store)
    (store.path / "round-0/status/c/0").unlink()
    fill(store, make_model())
    assert path.read_bytes() == before
    seal_all(store)


def test_damaged_metadata_never_shorten_what_is_read(store):
    manifest = seal_all(store)
    path = store.path / "round-0/status/zarr.json"
    path.write_text("{")
    with pytest.raises(StoreError, match=r"status/zarr.json is damaged.*delete it"):
        seal_all(store, batches=1)
    path.unlink()
    seal_all(store, batches=1)
    with pytest.raises(StoreError, match="count 8 simulations of 16"):
        read_failures(store.path.parent, manifest)
    seal_all(store)
    assert len(read_failures(store.path.parent, manifest).theta) == 16


def test_other_bytes_than_those_sealed_are_refused(store):
    manifest = seal_all(store)
    for spec in [spec for spec in read_description(store).trained if spec != SEED]:
        path = store.chunk("round-0", spec, 1)
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(StoreError, match="is not what was sealed") as raised:
            read_simulations(store.path.parent, [manifest])
        assert str(path) in str(raised.value)
        path.unlink()
        with pytest.raises(StoreError, match=r"is gone.*run snakemake once more"):
            read_simulations(store.path.parent, [manifest])
        path.write_bytes(content)
    assert len(read_simulations(store.path.parent, [manifest]).theta) == 16


def test_manifests_of_other_bytes_are_withdrawn(tmp_path, store):
    path = tmp_path / "study/manifest/round-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(seal_all(store).text())
    assert withdraw_stale(tmp_path, Batch(store, "round-0", 1, 8)) == []
    chunk = store.chunk("round-0", read_description(store).trained[0], 1)
    chunk.write_bytes(chunk.read_bytes() + b"x")
    assert withdraw_stale(tmp_path, Batch(store, "round-0", 0, 8)) == []
    assert withdraw_stale(tmp_path, Batch(store, "round-0", 1, 8)) == [path]
    assert not path.exists()


@pytest.mark.parametrize(("where", "found"), [("read_manifest", False), ("chunk_digest", True)])
def test_manifests_may_be_withdrawn_by_two_processes_at_once(tmp_path, store, monkeypatch, where, found):
    path = tmp_path / "study/manifest/round-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(seal_all(store).text())
    chunk = store.chunk("round-0", read_description(store).trained[0], 1)
    chunk.write_bytes(chunk.read_bytes() + b"x")
    function = getattr(manifest_module, where)

    def after_the_other(*args):
        path.unlink(missing_ok=True)
        return function(*args)

    monkeypatch.setattr(manifest_module, where, after_the_other)
    assert withdraw_stale(tmp_path, Batch(store, "round-0", 1, 8)) == [path] * found


def test_simulations_of_several_splits_come_in_order(store):
    fill(store, make_model(), "round-1")
    manifests = [seal_all(store), seal_all(store, "round-1", 1)]
    simulations = read_simulations(store.path.parent, manifests)
    assert simulations.names == ["p0", "p1"]
    np.testing.assert_array_equal(simulations.lower, [-50, -np.inf])
    assert len(simulations.theta) == 24
    later = read_simulations(store.path.parent, manifests[1:])
    np.testing.assert_array_equal(simulations.theta[16:], later.theta)


def test_reading_where_there_is_no_store(tmp_path, store):
    manifest = seal_all(store)
    with pytest.raises(StoreError, match="there is no store"):
        read_simulations(tmp_path / "elsewhere", [manifest])


def test_what_differs_between_runs_stands_in_the_provenance(store):
    _, effort = seal(store, "round-0", 2, 8, 0.05, "")
    told = json.loads(json.dumps(provenance(effort, "snakemake --cores 2")))
    assert told["attempts"] == 16
    assert told["seconds"] > 0
    assert told["command"] == "snakemake --cores 2"
    assert {"python", "numpy", "zarr"} <= set(told["versions"])


def test_metadata_that_are_gone_are_written_anew_where_the_split_is_sealed(tmp_path, store):
    results = tmp_path
    assert not mend_metadata(store, "round-0", results), "nothing is sealed yet"
    path = results / "study/manifest/round-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(seal_all(store).text())
    before = contents(store)
    assert not mend_metadata(store, "round-0", results)
    root = json.loads((store.path / "zarr.json").read_bytes())
    del root["consolidated_metadata"]
    for damaged in (
        {"round-0/zarr.json": None, "round-0/theta/zarr.json": None},
        {"round-0/data/zarr.json": None},
        {"round-0/status/zarr.json": "{"},
        {"round-0/theta/zarr.json": "[]"},
        {"zarr.json": json.dumps(root)},
    ):
        for name, text in damaged.items():
            (store.path / name).unlink() if text is None else (store.path / name).write_text(text)
        assert mend_metadata(store, "round-0", results), damaged
        assert contents(store) == before, damaged
