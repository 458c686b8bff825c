"""A disk that is full, for real: a small file system in memory."""

import errno
import os
import shutil
import subprocess

import pytest
from stores import contents, fill, make_external_model, make_model, make_store

from cinnflow.store.journal import read_journal
from cinnflow.store.layout import Batch

SIZE = 32


@pytest.fixture
def disk(tmp_path):
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a small file system takes root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def make_python(folder):
    def simulate(theta, rng):
        with (folder / "starts").open("a") as file:
            file.write(f"{theta[0]!r}\n")
        return theta[0] + rng.normal(size=1000)

    return make_model(simulate)


def make_program(folder):
    # Like many a program, it does not say that it could not write all that it had to.
    return make_external_model(folder, f'echo "$2" >> {folder}/starts; seq 1 900 > "$3"; exit 0')


@pytest.mark.parametrize("make", [make_python, make_program])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_full_disk_loses_nothing(tmp_path, disk, make, threads):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    expected = contents(fill(make_store(elsewhere), make(elsewhere), size=SIZE))
    model, store = make(tmp_path), make_store(disk)
    batch = Batch(store, "round-0", 0, SIZE)
    kept, room = [], disk / "room"
    for free in (120_000, 250_000):
        room.write_bytes(bytes(2**20 - free))
        with pytest.raises(OSError, match="No space left on device") as raised:
            fill(store, model, size=SIZE, threads=threads)
        assert raised.value.errno == errno.ENOSPC
        assert str(disk) in str(raised.value)
        before, kept = kept, [entry.index for entry in read_journal(batch.journal)]
        assert set(before) <= set(kept)
        assert all(entry.outcome.status == 0 for entry in read_journal(batch.journal))
        room.unlink()
    assert len(kept) > 0
    fill(store, model, size=SIZE, threads=threads)
    assert contents(store) == expected
    starts = (tmp_path / "starts").read_text().split()
    assert len(starts) <= SIZE + 2 * threads, "only those in flight ran again"
    assert not store.scratch.exists()
