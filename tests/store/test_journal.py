import contextlib
import errno
import os
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import exit_code, in_child

from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.store.journal import Entry, is_running, open_journal, read_journal
from cinnflow.store.layout import StoreError
from waiting import eventually

FAILED = Outcome(Status.CRASHED, {}, 0.25, 3, -11, "ended by SIGSEGV\nlast words: ψ\n")


def make_entry(index, outcome=None):
    rng = np.random.default_rng(index)
    data = {"x": rng.normal(size=(2, 3)), "n": np.array(index + 0.1)}
    return Entry(index, 2**62 + index, rng.normal(size=2), outcome or Outcome(Status.OK, data, 0.5 * index))


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.theta, other.theta)
        np.testing.assert_equal(one.outcome.data, other.outcome.data)
        assert replace(one, theta=None, outcome=replace(one.outcome, data={})) == replace(
            other, theta=None, outcome=replace(other.outcome, data={})
        )


ENTRIES = [make_entry(0), make_entry(1, FAILED), make_entry(2)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Where each of three records begins, and the journal's bytes."""
    path, ends = tmp_path_factory.mktemp("journal") / "journal", [0]
    with open_journal(path) as journal:
        for entry in ENTRIES:
            journal.append(entry)
            ends.append(path.stat().st_size)
    return ends, path.read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "journal"


def reopened(path, content):
    """What a next try finds in a journal with these bytes, and what the journal then holds after another entry."""
    path.write_bytes(content)
    with open_journal(path) as journal:
        found = journal.entries
        journal.append(make_entry(9))
    assert_same(read_journal(path), [*found, make_entry(9)])
    return found


def test_what_is_appended_is_read_back(written, path):
    assert_same(reopened(path, written[1]), ENTRIES)


@given(data=st.data())
@settings(max_examples=100)
def test_a_torn_record_is_dropped_and_no_other(written, path, data):
    ends, content = written
    cut = data.draw(st.sampled_from(ends) | st.integers(0, len(content)))
    whole = sum(end <= cut for end in ends[1:])
    tail = data.draw(st.sampled_from([b"", b"\0" * 8, b"\0" * 100, b"\xff" * 30, struct.pack("<II", 4, 0) + b"abcd"]))
    assert_same(reopened(path, content[:cut] + tail)[:whole], ENTRIES[:whole])
    assert len(reopened(path, content[:cut] + tail)) == whole


@given(data=st.data())
@settings(max_examples=100)
def test_a_flipped_bit_costs_its_entry_and_makes_no_wrong_one(written, path, data):
    ends, content = written
    where = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[where] ^= 1 << data.draw(st.integers(0, 7))
    hit = sum(end <= where for end in ends[1:])
    found = reopened(path, bytes(damaged))
    if where - ends[hit] < 4:  # in the length, which leads to the next one
        assert_same(found, [ENTRIES[entry.index] for entry in found])
        assert_same(found[:hit], ENTRIES[:hit])
    else:
        assert_same(found, [entry for entry in ENTRIES if entry.index != hit])


def test_a_journal_tells_whether_its_batch_runs(tmp_path):
    path = tmp_path / "deep" / "journal"
    assert not is_running(path)
    with open_journal(path) as journal:
        assert is_running(path)
        assert not journal.entries
    assert not is_running(path)
    assert read_journal(tmp_path / "absent") == []


def test_a_second_process_waits_and_then_starts_anew(tmp_path):
    path, locked, said = (tmp_path / name for name in ("journal", "locked", "said"))

    def second():
        while not locked.exists():
            time.sleep(0.01)
        with open_journal(path, said.touch) as journal:
            os._exit(len(journal.entries))

    pid = in_child(second)  # before the lock is taken: a child would share it
    with open_journal(path) as journal:
        journal.append(make_entry(0))
        locked.touch()
        assert eventually(said.exists)
        journal.remove()
    assert exit_code(pid) == 0


def test_processes_that_make_and_remove_the_same_folders_find_their_journals(tmp_path):
    path = tmp_path / "scratch/round-0/0/journal"

    def come_and_go():
        for _ in range(1000):
            with open_journal(path) as journal:
                journal.remove()
            for folder in path.parents[:3]:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    assert [exit_code(pid) for pid in [in_child(come_and_go) for _ in range(3)]] == [0, 0, 0]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path, write, room = tmp_path / "journal", os.write, 20

    def short(descriptor, content):
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        written = write(descriptor, content[: min(room, 7)])
        room -= written
        return written

    with open_journal(path) as journal:
        journal.append(ENTRIES[0])
        monkeypatch.setattr("cinnflow.store.journal.os.write", short)
        with pytest.raises(OSError, match=r"No space left.*journal"):
            journal.append(ENTRIES[1])
        room = 10**6
        journal.append(ENTRIES[2])
    assert_same(read_journal(path), [ENTRIES[0], ENTRIES[2]])


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with (
        pytest.raises(StoreError, match=r"journal cannot be locked \(No locks available\)"),
        open_journal(tmp_path / "journal"),
    ):
        pass
    with pytest.raises(StoreError, match="file system that takes locks"):
        is_running(tmp_path / "journal")


def test_two_long_simulations_that_end_together_are_both_on_disk(tmp_path, monkeypatch):
    synced = []
    with open_journal(tmp_path / "journal") as journal:
        monkeypatch.setattr("cinnflow.store.journal.os.fdatasync", synced.append)
        for index in range(3):
            journal.append(make_entry(index, replace(FAILED, seconds=3600.0)))
        assert len(synced) == 3
        journal.append(make_entry(3, replace(FAILED, seconds=0.01)))
        assert len(synced) == 3


def test_a_folder_that_is_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "results").symlink_to(tmp_path / "unmounted")
    with pytest.raises(OSError, match="results"), open_journal(tmp_path / "results" / "0" / "journal"):
        pass
