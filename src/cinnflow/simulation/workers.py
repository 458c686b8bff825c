"""Runs simulations in worker processes, so that one that crashes, hangs or ends its process harms no other."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.simulation.reaper import Reaper

RETRIED = (Status.CRASHED, Status.TIMED_OUT)
READING_GRACE = 30.0
"""Seconds beyond a program's own time limit in which its output must be read."""
ENDING_GRACE = 5.0
STDERR_TAIL = 2000


class RunsOne(Protocol):
    """What a simulator must offer to be run here."""

    isolated: bool

    def run(self, theta: np.ndarray, seed: int, workdir: Path, timeout: float | None, reaper: Reaper) -> Outcome:
        """Runs one simulation in an empty folder of its own."""


@dataclass(frozen=True)
class Task:
    """One simulation to run: its index in the split, its parameters (parameters,) and its seed."""

    index: int
    theta: np.ndarray
    seed: int


@dataclass(frozen=True)
class Limits:
    """How simulations are run; nothing here changes what they give.

    Args:
        threads: how many run at the same time.
        timeout: seconds after which one is ended, None for no limit.
        attempts: tries for one that crashes or times out.
        keep_failed: how many working folders of failed simulations to keep, in a store.
    """

    threads: int = 1
    timeout: float | None = None
    attempts: int = 1
    keep_failed: int = 0


def run_all(
    simulator: RunsOne, tasks: Iterable[Task], limits: Limits, scratch: Path, failed: Path
) -> Iterator[tuple[Task, Outcome]]:
    """Runs tasks and yields each with its outcome as it ends.

    The next simulation starts only once the consumer has come back for more: whoever journals an outcome before
    asking for the next never has more than `limits.threads` simulations to lose.

    Args:
        simulator: a bound simulator.
        tasks: what to run, in this order.
        limits: how to run it.
        scratch: a folder for working folders, which are gone afterwards.
        failed: where working folders of failed simulations are kept, as many as the limits say.

    Yields:
        (task, outcome), in the order in which they end.
    """
    scratch = scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    reaper = Reaper()
    workers: list[_Worker] = []
    try:
        waiting = iter(tasks)
        idle: list[_Worker] = []
        busy: list[_Worker] = []
        while True:
            while len(busy) < limits.threads and (task := next(waiting, None)):
                if not idle:
                    idle.append(_Worker(simulator, limits, scratch, failed, reaper))
                    workers.append(idle[-1])
                busy.append(idle.pop())
                busy[-1].start(task)
            if not busy:
                return
            for worker in _ended(busy, limits):
                task, outcome = worker.finish()
                if outcome.status in RETRIED and worker.attempt < limits.attempts:
                    worker.start(task, worker.attempt + 1)
                    continue
                busy.remove(worker)
                idle.append(worker)
                yield task, replace(outcome, attempts=worker.attempt)
    finally:
        for worker in workers:
            worker.close()
        reaper.close()


def _ended(busy: list[_Worker], limits: Limits) -> list[_Worker]:
    """Waits until at least one worker has ended its simulation, or has to be ended."""
    while True:
        wait = max(0.0, min(worker.deadline for worker in busy) - time.monotonic()) if limits.timeout else None
        ready = multiprocessing.connection.wait([worker.connection for worker in busy], wait)
        now = time.monotonic()
        ended = [worker for worker in busy if worker.connection in ready or (limits.timeout and now >= worker.deadline)]
        if ended:
            return ended


class _Worker:
    """A process that runs one simulation at a time, and is started anew when one takes it down."""

    def __init__(self, simulator: RunsOne, limits: Limits, scratch: Path, failed: Path, reaper: Reaper) -> None:
        self._simulator, self._limits, self._reaper = simulator, limits, reaper
        self._scratch, self._failed = scratch, failed
        self._errors = scratch / f"stderr-{os.getpid()}-{id(self)}"
        self._spawn()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, self.connection, self._simulator, self._limits.timeout, self._reaper, self._errors),
        )
        self._process.start()
        theirs.close()
        self._reaper.watch(self._pid)

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def start(self, task: Task, attempt: int = 1) -> None:
        """Starts a simulation in a fresh folder."""
        self.task, self.attempt = task, attempt
        self._workdir = self._scratch / f"simulation-{task.index}"
        shutil.rmtree(self._workdir, ignore_errors=True)
        self._workdir.mkdir()
        self._errors.write_bytes(b"")
        self._started = time.monotonic()
        grace = READING_GRACE if self._simulator.isolated else 0.0
        self.deadline = self._started + (self._limits.timeout or 0.0) + grace
        self.connection.send((task, self._workdir))

    def finish(self) -> tuple[Task, Outcome]:
        """The outcome of the simulation that has ended, or that is over its time and ended here."""
        outcome = self._received()
        if outcome is None:
            seconds = time.monotonic() - self._started
            code = self._end()
            tail = self._errors.read_text(errors="replace")[-STDERR_TAIL:].strip()
            if code is None:
                how = f"ended after its time limit of {self._limits.timeout:g} s"
                outcome = Outcome(Status.TIMED_OUT, {}, seconds, exit_code=-signal.SIGKILL, message=f"{how}\n{tail}")
            else:
                by = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
                how = f"the simulation ended its process {by}"
                outcome = Outcome(Status.CRASHED, {}, seconds, exit_code=code, message=f"{how}\n{tail}")
        if outcome.status is Status.OK or not self._keep():
            shutil.rmtree(self._workdir, ignore_errors=True)
        return self.task, outcome

    def _received(self) -> Outcome | None:
        """What the worker has sent; None when its simulation has ended the process, or has not ended in time."""
        try:
            return self.connection.recv() if self.connection.poll() else None
        except (EOFError, ConnectionResetError):
            return None

    def _keep(self) -> bool:
        """Whether the working folder of this failure is kept, in a place of its own, while there are not too many."""
        if not self._limits.keep_failed or len(list(self._failed.glob("*"))) >= self._limits.keep_failed:
            return False
        self._failed.mkdir(parents=True, exist_ok=True)
        shutil.move(self._workdir, self._failed / f"{self._workdir.name}-attempt-{self.attempt}")
        return True

    def _end(self) -> int | None:
        """Puts a new process in this one's place; returns its exit code, None where it had not ended by itself."""
        # A process that ends itself closes its connection a moment before it can be waited for.
        self._process.join(ENDING_GRACE if self.connection.poll() else 0)
        code = self._process.exitcode
        self._kill()
        self._spawn()
        return code

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._reaper.forget(self._pid)
        self.connection.close()

    def close(self) -> None:
        """Ends the worker and removes what it left."""
        self._kill()
        self._errors.unlink(missing_ok=True)


def _serve(
    connection: multiprocessing.connection.Connection,
    parents: multiprocessing.connection.Connection,
    simulator: RunsOne,
    timeout: float | None,
    reaper: Reaper,
    errors: Path,
) -> None:
    """A worker's whole life: run what comes through the connection until it closes."""
    os.setsid()
    parents.close()
    reaper.release()
    with errors.open("a") as stderr:
        os.dup2(stderr.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    faulthandler.enable(file=sys.stderr)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            task, workdir = connection.recv()
            connection.send(simulator.run(task.theta, task.seed, workdir, timeout, reaper))
