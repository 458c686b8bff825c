import contextlib
import hashlib
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from stores import PARTS, contents, exit_code, fill, in_child, make_external_model, make_model, make_store

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.journal import Journal, open_journal, read_journal
from cinnflow.store.layout import Batch, StoreError, place
from waiting import eventually


def columns(store, split="round-0", batches=1, size=8):
    """All values of a split by name."""
    decoded = [decode_batch(Batch(store, split, number, size), read_description(store)) for number in range(batches)]
    return {name: np.concatenate([values[name] for values in decoded]) for name in decoded[0] if name != "seconds"}


def noting(folder):
    """A model that notes each start of a simulation, by its first parameter, and the file with the notes."""
    starts = folder / "starts"

    def simulate(theta, rng):
        with starts.open("a") as file:
            file.write(f"{theta[0]!r}\n")
        return theta + rng.normal(size=2)

    return make_model(simulate), starts


def lines(path):
    return path.read_text().split() if path.exists() else []


def test_a_batch_holds_what_its_seeds_give(tmp_path):
    model = make_model()
    values = columns(fill(make_store(tmp_path), model))
    for row in range(8):
        np.testing.assert_array_equal(values["theta"][row], model.draw(int(values["seed"][row])))
    assert (values["status"] == Status.OK).all()
    assert (values["attempts"] == 1).all()
    assert values["data/x"].shape == (8, 3, 2)
    assert len(set(values["data/x"][:, 0, 0])) == 8
    assert [path for path in contents(make_store(tmp_path)) if not path.startswith("toy-0123abcd.zarr/")] == []


@pytest.mark.parametrize("size", ["same", "another"])
def test_a_declared_file_that_is_edited_meanwhile_ends_the_batch_and_mixes_nothing(tmp_path, size):
    table, edited = tmp_path / "table.txt", {"same": "7", "another": "77"}[size]
    table.write_text("0")

    def simulate(theta, _):
        with (tmp_path / "starts").open("a") as file:
            file.write("1\n")
        number = float(table.read_text())
        if len(lines(tmp_path / "starts")) == 4:
            table.write_text(edited)
        return theta + number

    model = GenerativeModel(make_model().prior, Simulator(simulate, files=["table.txt"]))
    model.bind(tmp_path)
    parts = {**PARTS, "file: table.txt": hashlib.sha256(b"0").hexdigest()}
    batch = Batch(make_store(tmp_path), "round-0", 0, 8)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"table.txt was edited while .* Start snakemake again"):
            run_batch(batch, model, 7, parts, Limits())
    table.write_text("0")
    starts = len(lines(tmp_path / "starts"))
    assert starts <= 5
    assert len(read_journal(batch.journal)) == 3
    run_batch(batch, model, 7, parts, Limits())
    assert len(lines(tmp_path / "starts")) == starts + 5
    values = columns(batch.store)
    np.testing.assert_array_equal(values["data/x"], values["theta"])


def test_bits_depend_on_no_batch_size_thread_or_retry(tmp_path):
    expected = columns(fill(make_store(tmp_path / "a"), make_model(), batches=1, size=8))
    for name, batches, size, threads in (("b", 2, 4, 1), ("c", 8, 1, 1), ("d", 1, 8, 4)):
        store = fill(make_store(tmp_path / name), make_model(), batches=batches, size=size, threads=threads)
        np.testing.assert_equal(columns(store, batches=batches, size=size), expected)
    others = columns(fill(make_store(tmp_path / "a"), make_model(), split="test"), "test")
    assert not set(others["seed"]) & set(expected["seed"])


def test_retries_change_attempts_alone(tmp_path):
    def shaky(theta, rng):
        mark = tmp_path / f"{theta[0]!r}"
        if theta[0] > 0 and not mark.exists():
            mark.touch()
            raise RuntimeError
        return rng.normal(size=2)

    retried = columns(fill(make_store(tmp_path / "a"), make_model(shaky), attempts=2))
    smooth = columns(fill(make_store(tmp_path / "b"), make_model(shaky)))
    np.testing.assert_array_equal(retried.pop("attempts"), np.where(retried["theta"][:, 0] > 0, 2, 1))
    assert (smooth.pop("attempts") == 1).all()
    np.testing.assert_equal(retried, smooth)


def test_failures_are_data(tmp_path):
    def failing(theta, _):
        if theta[0] > 0:
            raise ValueError("no solution")
        return theta if theta[1] > 0 else theta[:1]

    values = columns(fill(make_store(tmp_path), make_model(failing), size=16), size=16)
    crashed, shaped = values["theta"][:, 0] > 0, values["status"] == Status.OK
    assert set(values["status"]) == {Status.OK, Status.CRASHED, Status.UNREADABLE}
    np.testing.assert_array_equal(values["status"] == Status.CRASHED, crashed)
    assert all("no solution" in message for message in values["message"][crashed])
    wrong = values["message"][values["status"] == Status.UNREADABLE]
    assert all("the output is x" in message and "the other simulations give x" in message for message in wrong)
    assert np.isnan(values["data/x"][~shaped]).all()
    np.testing.assert_array_equal(values["data/x"][shaped][:, 0], values["theta"][shaped, 0])


@pytest.mark.parametrize("order", [range(6), range(5, -1, -1)])
def test_a_batch_that_fails_altogether_has_the_same_files_whatever_came_first(tmp_path, order):
    def failing(theta, _):
        return theta / (theta[0] > 0)

    def run(folder, numbers):
        for number in numbers:
            run_batch(Batch(make_store(folder), "round-0", number, 1), make_model(failing), 7, PARTS, Limits())
        return contents(make_store(folder))

    with np.errstate(all="ignore"):
        files = run(tmp_path / "a", order)
        assert files == run(tmp_path / "b", (3, 0, 5, 1, 2, 4))
    status = columns(make_store(tmp_path / "a"), batches=6, size=1)["status"]
    assert set(status) == {Status.OK, Status.NOT_FINITE}, "the seeds are such that both occur"


def test_a_committed_batch_runs_no_more(tmp_path):
    model, starts = noting(tmp_path)
    before = contents(fill(make_store(tmp_path), model))
    assert contents(fill(make_store(tmp_path), model)) == before
    assert len(lines(starts)) == 8


def test_another_batch_size_is_refused_before_anything_runs(tmp_path):
    model, starts = noting(tmp_path)
    fill(make_store(tmp_path), model)
    with pytest.raises(StoreError, match=r"batches of 8 simulations, got 4: set simulations.batch_size: 8"):
        fill(make_store(tmp_path), model, size=4, split="test")
    assert len(lines(starts)) == 8


def test_given_parameters_run_again_when_they_change(tmp_path):
    model, starts = noting(tmp_path)
    batch = Batch(make_store(tmp_path), "predictive-a", 0, 4)
    for theta in (np.zeros((4, 2)), np.zeros((4, 2)), np.ones((4, 2))):
        run_batch(batch, model, 7, PARTS, Limits(), theta)
        np.testing.assert_array_equal(decode_batch(batch, read_description(batch.store))["theta"], theta)
    assert lines(starts) == ["np.float64(0.0)"] * 4 + ["np.float64(1.0)"] * 4


def test_a_missing_or_damaged_chunk_is_named(tmp_path):
    store = fill(make_store(tmp_path), make_model())
    path = store.path / "round-0/data/x/c/0/0/0"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(StoreError, match=r"data/x/c/0/0/0 is damaged"):
        columns(store)
    path.unlink()
    with pytest.raises(StoreError, match=r"data/x/c/0/0/0 is missing"):
        columns(store)


# place() is called for the description and each of eight chunks, the commit record last; then the journal goes.
@pytest.mark.parametrize("placed", range(10))
def test_killed_while_committing(tmp_path, placed, monkeypatch):
    expected = contents(fill(make_store(tmp_path / "a"), make_model(noting(tmp_path)[0].simulator._simulate)))
    model, starts = noting(tmp_path / "b")
    (tmp_path / "b").mkdir()
    store, calls = make_store(tmp_path / "b"), []

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def dying_place(*args):
        if len(calls) == placed:
            die()
        calls.append(args)
        place(*args)

    with monkeypatch.context() as patch:
        patch.setattr("cinnflow.store.commit.place", dying_place)
        patch.setattr("cinnflow.store.description.place", dying_place)
        patch.setattr(Journal, "remove", lambda _: die())
        assert exit_code(in_child(lambda: fill(store, model))) == -signal.SIGKILL
    fill(store, model)
    assert contents(store) == expected
    assert len(lines(starts)) == 8


def test_two_processes_at_one_batch(tmp_path):
    model, starts = noting(tmp_path)
    expected = contents(fill(make_store(tmp_path / "a"), model))
    starts.unlink()
    store = make_store(tmp_path / "b")
    children = [in_child(lambda: fill(store, model)) for _ in range(3)]
    assert [exit_code(pid) for pid in children] == [0, 0, 0]
    assert len(lines(starts)) == 8
    assert contents(store) == expected


def test_who_comes_while_a_batch_is_cleared_keeps_all_that_is_its_own(tmp_path, monkeypatch):
    batch = Batch(make_store(tmp_path), "round-0", 0, 8)
    remove = Journal.remove
    with contextlib.ExitStack() as late:

        def comes(journal):
            remove(journal)
            late.enter_context(open_journal(batch.journal))
            (batch.scratch / "work/simulation-0").mkdir(parents=True)

        monkeypatch.setattr(Journal, "remove", comes)
        fill(batch.store, make_model())
        assert batch.journal.exists()
        assert (batch.scratch / "work/simulation-0").exists()


def test_a_prior_whose_last_bits_moved_loses_nothing(tmp_path, monkeypatch):
    """As a newer version of NumPy might do, between a kill and the next try."""
    model, starts = noting(tmp_path)
    store = make_store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda _: os._exit(0))
        assert exit_code(in_child(lambda: fill(store, model))) == 0
    (store.path / "round-0/status/c/0").unlink()
    draw = model.prior._draw
    model.prior._draw = lambda rng: np.nextafter(draw(rng), np.inf)
    fill(store, model)
    assert len(lines(starts)) == 8


def test_external_failures_keep_their_exit_code(tmp_path):
    model = make_external_model(tmp_path, 'case $1 in -*) echo "p0 is $1" >&2; exit 9;; esac; echo $1 > "$3"')
    values = columns(fill(make_store(tmp_path), model, keep_failed=1))
    negative = values["theta"][:, 0] < 0
    assert 0 < negative.sum() < 8
    np.testing.assert_array_equal(values["exit_code"], np.where(negative, 9, 0))
    assert all(message.startswith("exit code 9\np0 is -") for message in values["message"][negative])
    np.testing.assert_array_equal(values["data/x"][~negative][:, 0, 0], values["theta"][~negative, 0])
    assert len(list(make_store(tmp_path).failed.glob("round-0/*"))) == 1


def test_the_journal_is_there_while_the_batch_runs_and_gone_after(tmp_path):
    go = tmp_path / "go"

    def waits(*_):
        return 1.0 if go.exists() or eventually(go.exists) else np.nan

    store = make_store(tmp_path)
    batch = Batch(store, "round-0", 0, 8)
    pid = in_child(lambda: fill(store, make_model(waits)))
    assert eventually(batch.journal.exists)
    assert not batch.committed
    go.touch()
    assert exit_code(pid) == 0
    assert batch.committed
    assert not store.scratch.exists()
    assert read_journal(batch.journal) == []
    assert replace(batch, number=1).indices == range(8, 16)
