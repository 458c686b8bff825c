"""Ends the processes of a running study, and keeps count of what they had finished."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from studies import PATIENCE, Running, Workflow

from cinnflow.store.chunks import decode
from cinnflow.store.journal import read_journal
from cinnflow.store.layout import theta_spec


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Waits for something to happen."""
    end = time.monotonic() + PATIENCE / 3
    while not happened():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


class Disturbed:
    """A study whose every process can be found and ended, and whose simulator writes down each start.

    Args:
        workflow: the study.
        pause: seconds that a simulation takes.
    """

    def __init__(self, workflow: Workflow, pause: float) -> None:
        self.workflow = workflow
        self._starts = workflow.folder / "starts"
        self._starts.touch()
        self.environment = {"STARTS": str(self._starts), "PAUSE": str(pause)}

    def start(self, *arguments: str) -> Running:
        """Starts snakemake for everything that goes before training."""
        return self.workflow.start(*arguments, *self.workflow.manifests, **self.environment)

    @property
    def starts(self) -> list[str]:
        """The first parameter of each simulation, in the order in which they were started."""
        return self._starts.read_text().split()

    def wait_for_simulations(self, running: Running) -> None:
        """Waits until another simulation starts, or snakemake has ended."""
        before = len(self.starts)
        wait_until(lambda: len(self.starts) > before or not running.alive, "a simulation that starts")

    def finished(self) -> set[str]:
        """The first parameter of each simulation that is journalled or committed."""
        stores = self.workflow.folder / "results/simulations"
        # Journals first: a batch that is committed in between is then seen at least once.
        theta = [entry.theta[0] for path in stores.glob("*.scratch/*/*/journal") for entry in read_journal(path)]
        for record in stores.glob("*.zarr/*/status/c/*"):
            chunk = (record.parents[2] / "theta/c" / record.name / "0").read_bytes()
            theta += list(decode(theta_spec(2), chunk, record.stat().st_size - 4)[:, 0])
        return {float(value).hex() for value in theta}

    def processes(self) -> list[int]:
        """Processes that any snakemake of this study has started and that still run."""
        mark = f"STARTS={self._starts}".encode()
        every = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in every if mark in _read(pid, "environ")]

    def running(self, step: str) -> list[int]:
        """Processes that run a step: not their workers, which a kill would make failed simulations of."""
        mark = f"\0cinnflow.steps.{step}\0".encode()
        running = [pid for pid in self.processes() if mark in _read(pid, "cmdline")]
        return [pid for pid in running if _parent(pid) not in running]

    def wait_for_no_process(self) -> None:
        """Waits for every process to end by itself."""
        commands = {pid: _read(pid, "cmdline").replace(b"\0", b" ").decode() for pid in self.processes()}
        wait_until(lambda: not self.processes(), f"the end of stray processes {commands}")

    def kill(self, kind: str, running: Running, rng: np.random.Generator) -> None:
        """Kills snakemake's `group`, `snakemake` alone or one `batch`, with SIGKILL."""
        if kind == "batch":
            batches = self.running("simulate")
            if batches:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(rng.choice(batches)), signal.SIGKILL)
        else:
            running.signal(signal.SIGKILL, group=kind == "group")
            running.end()


class Accounts:
    """Checks that nothing that was finished when somebody looked is ever started again."""

    def __init__(self, study: Disturbed) -> None:
        self._study = study
        self._finished: list[tuple[set[str], int]] = []

    def look(self) -> int:
        """Notes what is finished now; returns how many simulations that is."""
        finished = self._study.finished()
        self._finished.append((finished, len(self._study.starts)))
        return len(finished)

    def started_again(self) -> set[str]:
        """Simulations that started although they had been finished before."""
        starts = self._study.starts
        return set().union(*(finished.intersection(starts[count:]) for finished, count in self._finished))


def leftovers(folder: Path) -> Iterable[Path]:
    """Files and folders in a study's results that only a running or a killed job has."""
    return [path for path in folder.rglob("*") if path.suffix in (".scratch", ".temporary") or path.name == "journal"]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return int(fields[1]) if fields else 0
