import os
import time

import pytest
from stores import exit_code, fill, in_child, make_model, make_store

from cinnflow.store.journal import Journal
from cinnflow.store.layout import STATUS, Batch
from cinnflow.store.progress import progress_line, rough_duration, split_progress, time_of_files
from waiting import eventually


def failing(theta, rng):
    return 1 / 0 if theta[0] > 0 else rng.normal(size=2)


def test_progress_counts_committed_and_journalled_simulations(tmp_path, monkeypatch):
    store = fill(make_store(tmp_path), make_model(failing), batches=2)
    with monkeypatch.context() as patch:
        append = Journal.append

        def append_and_die(journal, entry):
            append(journal, entry)
            if entry.index == 18:
                os._exit(0)

        patch.setattr(Journal, "append", append_and_die)
        assert exit_code(in_child(lambda: fill(store, make_model(failing), batches=3))) == 0
    # The dead process's workers have the journal open until they are ended too, a moment later.
    assert eventually(lambda: not split_progress(store, "round-0", 4, 8, time.time()).running)
    progress = split_progress(store, "round-0", 4, 8, time.time())
    assert (progress.batches, progress.committed, progress.running) == (4, 2, 0)
    assert (progress.done, progress.wanted) == (19, 32)
    assert set(progress.ended) == {"ok", "crashed"}
    assert progress.rate > 0
    assert progress.seconds_left > 0
    assert split_progress(store, "round-0", 4, 8, time.time() + 1e5).rate is None
    assert split_progress(store, "test", 1, 8, time.time()).done == 0


def test_the_pace_is_by_the_clock_of_the_files(tmp_path, monkeypatch):
    """As on a shared file system whose server's clock is not that of the host that asks."""
    store = fill(make_store(tmp_path), make_model(), batches=3)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    now = time_of_files(store.path.parent)
    assert abs(now - store.chunk("round-0", STATUS, 2).stat().st_mtime) < 60
    assert split_progress(store, "round-0", 4, 8, now).rate > 0
    assert time_of_files(tmp_path / "none") == 0.0
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_a_record_that_is_taken_back_while_somebody_looks(tmp_path, monkeypatch):
    store = fill(make_store(tmp_path), make_model(), batches=2)
    record = store.chunk("round-0", STATUS, 1)

    def read_and_take_back(_):
        record.unlink(missing_ok=True)
        return []

    monkeypatch.setattr("cinnflow.store.progress.read_journal", read_and_take_back)
    progress = split_progress(store, "round-0", 2, 8, time.time())
    assert (progress.committed, progress.done) == (1, 8)


def test_a_line_for_each_batch(tmp_path):
    store = fill(make_store(tmp_path), make_model(), batches=3)
    line = progress_line(Batch(store, "round-0", 2, 8), 5)
    assert line.startswith("round-0: 24 of 40 simulations, ")
    assert line.endswith(" left")
    assert progress_line(Batch(store, "round-0", 2, 8), 3) == "round-0: 24 of 24 simulations"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")])
def test_durations(seconds, text):
    assert rough_duration(seconds) == text
