"""Batch jobs that are killed with SIGKILL, again and again, and go on each time."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from stores import contents, make_store

from cinnflow.store.journal import read_journal
from cinnflow.store.layout import Batch
from waiting import eventually

SIZE = 24

# Starts a job for each line that it reads: a fork of a process that has imported everything.
JOBS = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from stores import fill, make_external_model, make_model, make_store

folder, kind = Path(sys.argv[2]), sys.argv[3]

def simulate(theta, rng):
    import subprocess, time
    with (folder / "starts").open("a") as file:
        file.write(f"{theta[0]!r}\\n")
    subprocess.Popen(["sleep", "61"], cwd=folder)
    time.sleep(0.02)
    return theta + rng.normal(size=2)

SCRIPT = f'''echo "$2" >> {folder}/starts; sleep 61 & sleep 0.02; echo "$1,$2" > "$3"'''

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        model = make_model(simulate) if kind == "python" else make_external_model(folder, SCRIPT)
        fill(make_store(folder), model, size=SIZE, threads=2, timeout=60)
        os._exit(0)
    print(pid, flush=True)
"""


def working_in(folder):
    """Processes that work in a folder or below it."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


class Jobs:
    """Batch jobs of one store in a folder of their own, whose processes are all known by that."""

    def __init__(self, folder, kind):
        folder.mkdir()
        self.folder, self.starts = folder, folder / "starts"
        self.batch = Batch(make_store(folder), "round-0", 0, SIZE)
        script = folder / "jobs.py"
        script.write_text(JOBS.replace("SIZE", str(SIZE)))
        self._process = subprocess.Popen(
            [sys.executable, script, Path(__file__).parent, folder, kind],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self):
        self._process.stdin.write(json.dumps("go") + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def started(self):
        return Counter(self.starts.read_text().split()) if self.starts.exists() else Counter()

    def no_process_is_left(self):
        return eventually(lambda: working_in(self.folder) == [self._process.pid])

    def close(self):
        self._process.communicate()


@pytest.mark.parametrize("kind", ["python", "external"])
def test_a_batch_that_is_killed_again_and_again(tmp_path, kind):
    rng = np.random.default_rng(1)
    undisturbed, jobs = Jobs(tmp_path / "undisturbed", kind), Jobs(tmp_path / "killed", kind)
    with contextlib.closing(undisturbed), contextlib.closing(jobs):
        undisturbed.start()
        kills, in_flight = 0, 0
        while not jobs.batch.committed:
            before, journalled = jobs.started(), read_journal(jobs.batch.journal)
            job, enough = jobs.start(), before.total() + rng.integers(1, 5)
            assert eventually(lambda enough=enough: jobs.started().total() >= enough or jobs.batch.committed)
            time.sleep(rng.uniform(0, 0.03))
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if rng.integers(2) else os.kill)(job, signal.SIGKILL)
                kills += 1
            assert jobs.no_process_is_left()
            names = {str(entry.seed % 2**31) if kind == "external" else repr(entry.theta[0]) for entry in journalled}
            again = jobs.started() - before
            assert not names & set(again), "a journalled simulation ran again"
            in_flight += 2
        jobs.start()
        assert jobs.no_process_is_left()
        assert undisturbed.no_process_is_left()
        assert kills > 4
        assert jobs.started().total() <= SIZE + in_flight
        assert set(jobs.started()) == set(undisturbed.started())
        assert contents(jobs.batch.store) == contents(undisturbed.batch.store)
