"""Damage is found wherever it is, and only what is damaged runs again."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.layout import Batch, Store
from cinnflow.store.seal import seal
from cinnflow.store.verify import retry, take_back, verify

SIZE, BATCHES = 4, 2


def half_fail(theta, rng):
    if theta[0] < 0:
        raise ValueError("negative")
    return theta + rng.normal(size=3)


def model_of(simulate=half_fail):
    return GenerativeModel(Prior(lambda rng: rng.normal(size=1), names=["a"]), Simulator(simulate))


def filled(results, simulate=half_fail, limits=None):
    """A store of two sealed batches, and how to run one of them."""
    model = model_of(simulate)
    store = Store(results / "simulations" / "model-12345678.zarr")

    def run(number):
        run_batch(Batch(store, "round-0", number, SIZE), model, 1, {"seed": "1"}, limits or Limits())

    for number in range(BATCHES):
        run(number)
    manifest, _ = seal(store, "round-0", BATCHES, SIZE, 1.0, "")
    path = results / "study" / "manifest" / "round-0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(manifest.text())
    return store, run, path


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    filled(results)
    return results


def chunks(store):
    return sorted(
        path for path in store.path.glob("round-0/**/c/**/*") if path.is_file() and "parameter" not in path.parts
    )


def bytes_of(store):
    varying = {"seconds", "attempts"}
    return {path: path.read_bytes() for path in chunks(store) if not varying & set(path.parts)}


def test_an_undamaged_store_has_no_damage(undamaged):
    assert list(verify(Store(undamaged / "simulations" / "model-12345678.zarr"), undamaged)) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_to_any_chunk_is_found_and_its_batch_named(undamaged, tmp_path, data):
    results = tmp_path / "copy"
    shutil.rmtree(results, ignore_errors=True)
    shutil.copytree(undamaged, results)
    store = Store(results / "simulations" / "model-12345678.zarr")
    chunk = data.draw(st.sampled_from(chunks(store)))
    content = chunk.read_bytes()
    kind = data.draw(st.sampled_from(["truncated", "flipped", "emptied", "missing", "longer"]))
    if kind == "truncated":
        chunk.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    elif kind == "flipped":
        position = data.draw(st.integers(0, len(content) - 1))
        flipped = content[position] ^ (1 << data.draw(st.integers(0, 7)))
        chunk.write_bytes(content[:position] + bytes([flipped]) + content[position + 1 :])
    elif kind == "longer":
        chunk.write_bytes(content + data.draw(st.binary(min_size=1, max_size=9)))
    else:
        chunk.unlink() if kind == "missing" else chunk.write_bytes(b"")
    batch = int(chunk.relative_to(store.path).as_posix().split("/c/")[1].split("/")[0])
    assert [damage.batch.number for damage in verify(store, results)] == [batch]


def test_a_batch_that_is_taken_back_runs_again_and_comes_out_the_same(tmp_path):
    store, run, manifest = filled(tmp_path)
    before = bytes_of(store)
    chunk = store.path / "round-0/theta/c/1/0"
    chunk.write_bytes(b"damaged")
    (damage,) = verify(store, tmp_path)
    take_back(damage.batch)
    assert store.committed("round-0") == [0]
    run(1)
    assert bytes_of(store) == before
    assert list(verify(store, tmp_path)) == []
    assert manifest.exists()


def test_readable_chunks_that_are_not_the_sealed_ones_are_damage(tmp_path):
    store, _, _ = filled(tmp_path)
    shutil.copy(store.path / "round-0/theta/c/0/0", store.path / "round-0/theta/c/1/0")
    (damage,) = verify(store, tmp_path)
    assert damage.batch.number == 1
    assert "not what" in damage.problem


def test_retry_runs_the_failed_simulations_of_its_reasons_and_no_others(tmp_path):
    started = tmp_path / "started"

    def counting(theta, rng):
        with started.open("a") as file:
            file.write(f"{theta[0]!r}\n")
        return half_fail(theta, rng)

    store, run, manifest = filled(tmp_path, counting)
    description = read_description(store)
    batches = [Batch(store, "round-0", number, SIZE) for number in range(BATCHES)]
    failed = {n: int(np.sum(decode_batch(batches[n], description)["status"] == Status.CRASHED)) for n in range(BATCHES)}
    assert sum(failed.values()) > 0
    before = bytes_of(store)
    started.unlink()
    assert sum(retry(batch, [Status.TIMED_OUT], tmp_path, model_of()) for batch in batches) == 0
    assert manifest.exists()
    assert [retry(batch, [Status.CRASHED], tmp_path, model_of()) for batch in batches] == list(failed.values())
    assert not manifest.exists()
    for number in range(BATCHES):
        run(number)
    assert len(started.read_text().splitlines()) == sum(failed.values())
    assert bytes_of(store) == before
    assert not store.scratch.exists()


def test_what_is_gone_altogether_is_damage(undamaged, tmp_path):
    for gone, problems in (
        ("round-0", [(0, "status/c/0 is missing"), (1, "status/c/1 is missing")]),
        ("zarr.json", [(0, "zarr.json is missing, which this batch writes anew")]),
        ("", [(0, "status/c/0 is missing"), (1, "status/c/1 is missing")]),
    ):
        results = tmp_path / (gone or "all")
        shutil.copytree(undamaged, results)
        store = Store(results / "simulations" / "model-12345678.zarr")
        path = store.path / gone
        path.unlink() if path.is_file() else shutil.rmtree(path)
        found = list(verify(store, results))
        assert [damage.batch.number for damage in found] == [number for number, _ in problems]
        for damage, (_, problem) in zip(found, problems, strict=True):
            assert damage.problem.endswith(problem)


def test_the_description_comes_back_with_the_one_batch_that_is_taken_back(tmp_path):
    store, run, _ = filled(tmp_path)
    (store.path / "zarr.json").unlink()
    taken_back = []
    for damage in verify(store, tmp_path):
        take_back(damage.batch)
        taken_back.append(damage.batch.number)
    assert taken_back == [0]
    run(0)
    assert list(verify(store, tmp_path)) == []


def test_retry_keeps_the_failures_of_other_reasons_where_nothing_has_succeeded(tmp_path):
    started = tmp_path / "started"

    def fail(theta, _):
        with started.open("a") as file:
            file.write("1")
        if theta[0] < 0:
            raise ValueError
        return "no numbers"

    model, store = model_of(fail), Store(tmp_path / "simulations" / "model-12345678.zarr")
    batch = Batch(store, "round-0", 0, 8)

    def run():
        run_batch(batch, model, 1, {"seed": "1"}, Limits())
        return len(started.read_text())

    assert run() == 8
    again = retry(batch, [Status.CRASHED], tmp_path, model)
    assert 0 < again < 8
    assert run() == 8 + again


def test_a_record_is_taken_back_only_once_the_journal_is_on_disk(tmp_path, monkeypatch):
    store, _, _ = filled(tmp_path)
    batch, synced = Batch(store, "round-0", 0, SIZE), []
    monkeypatch.setattr("cinnflow.store.journal.os.fdatasync", lambda _: synced.append(batch.committed))
    assert retry(batch, [Status.CRASHED], tmp_path, model_of())
    assert synced[-1:] == [True]
    assert not batch.committed
