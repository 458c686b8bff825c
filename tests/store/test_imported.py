"""Simulations made elsewhere, in a store: nothing lost, nothing trained on that should not be, and like any others."""

import time
from collections import Counter

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import contents, exit_code, in_child

from cinnflow.simulation.outcome import Status
from cinnflow.store import imported
from cinnflow.store.description import read_description
from cinnflow.store.fingerprint import source_fingerprint
from cinnflow.store.imported import check_rows, import_source
from cinnflow.store.layout import Batch, Store, StoreError
from cinnflow.store.progress import split_progress
from cinnflow.store.reader import read_failures
from cinnflow.store.seal import seal
from cinnflow.store.source import SourceError, open_source
from cinnflow.store.stored_simulations import StoredSimulations, read_simulations
from cinnflow.store.verify import take_back, verify
from waiting import eventually

RNG = np.random.default_rng(0)
THETA, X = RNG.uniform(0, 1, (37, 2)), RNG.normal(size=(37, 3))


def save(folder, theta=THETA, x=X, **others):
    path = folder / "made elsewhere.npz"
    np.savez(path, theta=theta, x=x, **others)
    return open_source(path)


def take(folder, source, test=9, size=8):
    """The store with all rows of a source, and how they ended."""
    meaning = source_fingerprint(source, test)
    store = Store(folder / "simulations" / f"{meaning.store_name}.zarr")
    return store, import_source(store, source, test, size, meaning.parts)


def seal_both(store, source, test=9, size=8, max_failed=1.0):
    splits = source.splits(test).items()
    return [seal(store, split, -(-len(rows) // size), size, max_failed, "")[0] for split, rows in splits]


@pytest.mark.parametrize("attempt", range(5))  # who is first at what is not the same every time
def test_several_processes_at_one_source(tmp_path, attempt):
    source, begin = save(tmp_path), tmp_path / f"begin-{attempt}"
    expected = contents(take(tmp_path / "a", source, size=4)[0])
    children = [in_child(lambda: eventually(begin.exists) and take(tmp_path / "b", source, size=4)) for _ in range(3)]
    begin.touch()
    assert [exit_code(pid) for pid in children] == [0, 0, 0]
    assert contents(take(tmp_path / "b", source, size=4)[0]) == expected
    assert not list(tmp_path.rglob("*.scratch"))


@given(
    rows=st.integers(2, 40),
    test=st.integers(1, 39),
    size=st.integers(3, 50),
    bad=st.sets(st.integers(0, 39)),
    in_theta=st.booleans(),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_row_is_lost_and_none_that_is_not_finite_is_trained_on(tmp_path_factory, rows, test, size, bad, in_theta):
    folder = tmp_path_factory.mktemp("store")
    test, theta, x = min(test, rows - 1), THETA[np.arange(rows) % 37].copy(), np.arange(3.0 * rows).reshape(rows, 3)
    bad = sorted(bad & set(range(1, rows - 1)))  # which leaves each split a good row
    (theta if in_theta else x)[bad, 1] = [np.nan, np.inf][test % 2]
    source = save(folder, theta, x)
    store, taken = take(folder, source, test, size)
    assert sum(taken.values(), Counter()) == Counter({"ok": rows - len(bad), "not finite": len(bad)}) + Counter()
    manifests = seal_both(store, source, test, size)
    assert [manifest.simulations for manifest in manifests] == [rows - test, test]
    found = read_simulations(store.path.parent, manifests)
    good = np.setdiff1d(np.arange(rows), bad)
    np.testing.assert_array_equal(found.theta, theta[good])
    np.testing.assert_array_equal(found.data["x"], x[good])
    failures = [read_failures(store.path.parent, manifest) for manifest in manifests]
    np.testing.assert_array_equal(np.concatenate([split.theta for split in failures]), theta)
    status = np.concatenate([split.status for split in failures])
    np.testing.assert_array_equal(np.flatnonzero(status == Status.NOT_FINITE), bad)
    np.testing.assert_array_equal(check_rows(source, range(rows)), status)
    assert not store.scratch.exists()


def test_a_batch_without_any_finite_row_is_read_as_none(tmp_path):
    x = X.copy()
    x[8:16] = np.nan
    source = save(tmp_path, x=x)
    store, _ = take(tmp_path, source)
    stored = StoredSimulations(store.path.parent, seal_both(store, source))
    assert len(stored) == 29
    assert len(stored.read(1).theta) == 0
    np.testing.assert_array_equal(stored.read_all().data["x"], np.delete(x, range(8, 16), axis=0))


def test_a_sealed_split_opens_in_xarray_with_just_the_rows_that_there_are(tmp_path):
    source = save(tmp_path)
    store, _ = take(tmp_path, source)
    seal_both(store, source)
    split = xr.open_zarr(store.path, group="round-0")
    assert dict(split.sizes) == {"simulation": 28, "parameter": 2}
    np.testing.assert_array_equal(split.theta, THETA[:28])
    assert (split.seed == -1).all()
    progress = split_progress(store, "round-0", 4, 8, time.time())
    assert (progress.done, progress.wanted, progress.ended) == (28, 28, {"ok": 28})


def test_taking_in_again_writes_nothing_and_what_is_missing_alone(tmp_path, monkeypatch):
    source = save(tmp_path)
    store, _ = take(tmp_path, source)
    before = contents(store)
    assert sum(take(tmp_path, source)[1].values(), Counter()) == Counter()
    (store.path / "round-0/theta/c/1/0").write_bytes(b"damaged")
    (damage,) = verify(store, tmp_path)
    take_back(damage.batch)
    placed = []
    place = imported.place_batch
    monkeypatch.setattr(imported, "place_batch", lambda batch, *args: (placed.append(batch), place(batch, *args)))
    assert take(tmp_path, source)[1]["round-0"] == {"ok": 8}
    assert placed == [Batch(store, "round-0", 1, 8)]
    assert contents(store) == before


def test_interrupted_it_goes_on(tmp_path, monkeypatch):
    source = save(tmp_path)
    whole = contents(take(tmp_path / "a", source)[0])
    place = imported.place_batch

    def stop(batch, *args):
        if batch.number == 2:
            raise OSError(28, "No space left on device")
        place(batch, *args)

    with monkeypatch.context() as patch:
        patch.setattr(imported, "place_batch", stop)
        with pytest.raises(OSError, match="No space left"):
            take(tmp_path / "b", source)
    store, taken = take(tmp_path / "b", source)
    assert taken == {"round-0": {"ok": 12}, "test": {"ok": 9}}
    assert contents(store) == whole


def test_the_name_of_a_store_covers_bytes_names_bounds_and_what_is_held_out(tmp_path):
    def meaning(test=9, **others):
        return source_fingerprint(save(tmp_path, **others), test)

    first = meaning()
    assert first.store_name == f"made-elsewhere-{first.digest}"
    assert meaning() == first
    assert meaning(test=8).differences(first.parts) == ["test"]
    assert meaning(x=X + 1).differences(first.parts) == ["source"]
    assert meaning(names=np.array(["a", "b"])).differences(first.parts) == ["parameters", "source"]
    assert read_description(take(tmp_path, save(tmp_path))[0]).imported


def test_rows_outside_the_bounds_that_the_file_declares(tmp_path):
    theta = THETA.copy()
    theta[33, 1] = -0.25
    source = save(tmp_path, theta, lower=np.zeros(2), names=np.array(["a", "b"]))
    with pytest.raises(SourceError, match=r"b is -0.25 in row 33 \(of 1 such .*\), outside its bounds, 0 to inf"):
        take(tmp_path, source)
    x = X.copy()
    x[33] = np.nan  # a failed simulation's parameters do no harm
    take(tmp_path, save(tmp_path, theta, x, lower=np.zeros(2)))


def test_too_many_failures_do_not_seal_and_name_the_file(tmp_path):
    x = X.copy()
    x[[3, 30]] = np.nan
    source = save(tmp_path, x=x)
    store, _ = take(tmp_path, source)
    with pytest.raises(StoreError) as error:
        seal_both(store, source, max_failed=0.01)
    for word in ("1 not finite", "row 3 of made elsewhere.npz: not finite in x", "mend them in the file"):
        assert word in str(error.value)
    assert "cinnflow retry" not in str(error.value)
    seal_both(store, source, max_failed=0.2)
    source = save(tmp_path, x=np.full_like(X, np.nan))
    with pytest.raises(StoreError, match="nothing to learn"):
        seal_both(take(tmp_path, source)[0], source)


def test_another_batch_size_than_the_stores(tmp_path):
    source = save(tmp_path)
    take(tmp_path, source)
    with pytest.raises(StoreError, match=r"set simulations.batch_size: 8"):
        take(tmp_path, source, size=4)


def test_a_hundred_thousand_rows_with_a_batch_in_memory_at_a_time(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    source = save(tmp_path, rng.normal(size=(100_000, 2)), rng.normal(size=(100_000, 10)))
    sizes = []
    columns = imported._columns
    monkeypatch.setattr(imported, "_columns", lambda *args: (sizes.append(len(args[1])), columns(*args))[1])
    store, taken = take(tmp_path, source, test=512, size=1024)
    assert taken == {"round-0": {"ok": 99_488}, "test": {"ok": 512}}
    assert (max(sizes), sum(sizes)) == (1024, 100_000)
    assert [manifest.simulations for manifest in seal_both(store, source, 512, 1024)] == [99_488, 512]
