"""A batch that is first and odd does not decide what all others must look like."""

import numpy as np
import pytest
from stores import PARTS, contents, make_model, make_store

from cinnflow.simulation.outcome import Status
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.journal import open_journal, read_journal
from cinnflow.store.layout import STATUS, Batch, StoreError
from cinnflow.store.seal import seal
from cinnflow.store.usual_shape import check_shape, settle_shape
from cinnflow.store.verify import journal_and_withdraw

BATCHES, ODD = 8, 5


@pytest.fixture(params=[None, 20, {"x": 20}], ids=str)
def run(request, tmp_path):
    """Runs batches of one simulation, of which number ODD is misshapen; and how often the simulator has run."""
    model, runs = make_model(), tmp_path / "runs"
    odd = model.draw(simulation_seed(7, "round-0", ODD))[0]

    def simulate(theta, _):
        with runs.open("a") as file:
            file.write("1")
        of_another = (3, 2) if request.param else 3
        return np.full(of_another if theta[0] == odd else 10, theta[0])

    model.simulator = Simulator(simulate, max_length=request.param)

    def run(store, *numbers, split="round-0"):
        for number in numbers:
            run_batch(Batch(store, split, number, 1), model, 7, PARTS, Limits())
        return len(runs.read_text())

    run.model = model
    return run


def statuses(store, split="round-0", batches=BATCHES):
    batches = [Batch(store, split, number, 1) for number in range(batches)]
    return [int(decode_batch(batch, read_description(store))["status"][0]) for batch in batches]


def in_store(store):
    return {path: content for path, content in contents(store).items() if ".zarr/" in path}


def test_the_shape_that_most_have_holds_and_nothing_runs_again(run, tmp_path):
    store = make_store(tmp_path / "odd first")
    others = [number for number in range(BATCHES) if number != ODD]
    ran = run(store, ODD, *others)
    assert statuses(store) == [Status.OK if number == ODD else Status.UNREADABLE for number in range(BATCHES)]
    with pytest.raises(StoreError, match=r"retry --reason unreadable"):
        seal(store, "round-0", BATCHES, 1, 0.2, "")
    said = settle_shape(store, run.model, tmp_path)
    assert "7 simulations give x (" in said and "the first batch gave x (" in said
    assert store.committed("round-0") == []
    assert run(store, ODD, *others) == ran
    assert statuses(store) == [Status.UNREADABLE if number == ODD else Status.OK for number in range(BATCHES)]
    manifest, _ = seal(store, "round-0", BATCHES, 1, 0.2, "")
    assert settle_shape(store, run.model, tmp_path) == ""
    usual = make_store(tmp_path / "usual first")
    run(usual, *range(BATCHES))
    assert seal(usual, "round-0", BATCHES, 1, 0.2, "")[0] == manifest
    assert in_store(usual) == in_store(store)


@pytest.mark.parametrize("odd", [3, 4, 5])
def test_what_a_sealed_store_holds_depends_on_no_order(tmp_path, odd):
    model = make_model()
    of_odd = {model.draw(simulation_seed(7, "round-0", number))[0] for number in range(odd)}
    model.simulator = Simulator(lambda theta, _: np.full(3 if theta[0] in of_odd else 4, theta[0]))
    held = []
    for folder, order in (("forwards", range(BATCHES)), ("backwards", reversed(range(BATCHES)))):
        store = make_store(tmp_path / folder)
        for number in order:
            run_batch(Batch(store, "round-0", number, 1), model, 7, PARTS, Limits())
        try:
            check_shape(store, "round-0", model, " --configfile mine.yaml")
        except StoreError as error:
            assert str(error).endswith("cinnflow retry --configfile mine.yaml --reason unreadable")
            assert settle_shape(store, model, tmp_path)
            for number in range(BATCHES):
                run_batch(Batch(store, "round-0", number, 1), model, 7, PARTS, Limits())
            check_shape(store, "round-0", model, "")
        seal(store, "round-0", BATCHES, 1, 0.9, "")
        held.append(in_store(store))
    assert held[0] == held[1]


def test_a_seal_looks_past_batches_that_are_damaged_or_taken_back(run, tmp_path):
    store = make_store(tmp_path)
    run(store, ODD, 0, 1, 2, 3)
    store.chunk("round-0", STATUS, 0).write_bytes(b"?")
    store.chunk("round-0", STATUS, 1).unlink()
    with pytest.raises(StoreError, match=r"2 simulations in .* as 1 do in all"):
        check_shape(store, "round-0", run.model, "")


def test_a_split_of_which_nothing_counted_is_taken_up_too(run, tmp_path):
    store = make_store(tmp_path)
    run(store, ODD)
    ran = run(store, 0, 1, split="test")
    assert statuses(store, "test", 2) == [Status.UNREADABLE] * 2
    assert "2 simulations give x (" in settle_shape(store, run.model, tmp_path)
    assert run(store, 0, 1, split="test") == ran
    assert statuses(store, "test", 2) == [Status.OK] * 2


def test_a_kill_while_the_shape_is_settled_loses_nothing(run, tmp_path, monkeypatch):
    store = make_store(tmp_path)
    ran = run(store, ODD, *[number for number in range(BATCHES) if number != ODD])

    def killed(*_):
        raise InterruptedError

    monkeypatch.setattr("cinnflow.store.usual_shape.place_description", killed)
    with pytest.raises(InterruptedError):
        settle_shape(store, run.model, tmp_path)
    monkeypatch.undo()
    assert run(store, *range(BATCHES)) == ran
    assert statuses(store).count(Status.OK) == 1
    settle_shape(store, run.model, tmp_path)
    assert run(store, *range(BATCHES)) == ran
    assert statuses(store).count(Status.OK) == BATCHES - 1


def test_nothing_is_settled_while_a_job_runs(run, tmp_path):
    store = make_store(tmp_path)
    run(store, ODD, 0, 1)
    before = contents(store)
    with (
        open_journal(Batch(store, "test", 3, 1).journal),
        pytest.raises(StoreError, match=r"test/3 is being simulated.*wait until"),
    ):
        settle_shape(store, run.model, tmp_path)
    after = contents(store)
    assert {path: after[path] for path in before} == before
    assert settle_shape(store, run.model, tmp_path)


def test_retry_for_another_reason_keeps_what_was_kept_aside(run, tmp_path):
    store = make_store(tmp_path)
    run(store, ODD)
    batch = Batch(store, "test", 0, 1)
    ran = run(store, 0, split="test")
    (kept,) = read_journal(batch.misshapen)
    values = decode_batch(batch, read_description(store))
    journal_and_withdraw(batch, values, [0], read_description(store), tmp_path)
    assert run(store, 0, split="test") == ran
    (still,) = read_journal(batch.misshapen)
    np.testing.assert_array_equal(still.outcome.data["x"], kept.outcome.data["x"])
