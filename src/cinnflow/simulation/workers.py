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
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np

from cinnflow.simulation.context import Context
from cinnflow.simulation.descendants import adopt_orphans
from cinnflow.simulation.folder_lock import alone_in
from cinnflow.simulation.outcome import Outcome, Status, signal_name
from cinnflow.simulation.reaper import Reaper
from cinnflow.simulation.seeds import seed_global_generators
from cinnflow.simulation.sessions import end_sessions
from cinnflow.simulation.working_folder import make_folder, remove_folder

RETRIED = (Status.CRASHED, Status.TIMED_OUT)
READING_GRACE = 30.0
"""Seconds beyond a program's own time limit in which its output must be read."""
ENDING_GRACE = 5.0
LOOK_EVERY = 1.0
"""Seconds between two looks at whether a worker lives: what its simulation has left running may hide its end."""
STDERR_TAIL = 2000
ROOM = 2**16
"""Bytes that must fit on the disk for the end of a simulation to be its own doing."""


class RunsOne(Protocol):
    """What a simulator must offer to be run here."""

    isolated: bool

    def run(
        self, theta: np.ndarray, seed: int, workdir: Path, timeout: float | None, reaper: Reaper, context: Context
    ) -> Outcome:
        """Runs one simulation in an empty folder of its own."""


@dataclass(frozen=True)
class Task:
    """One simulation to run: its index in the split, its parameters (parameters,), its seed and its context."""

    index: int
    theta: np.ndarray
    seed: int
    context: Context = field(default_factory=Context)


@dataclass(frozen=True)
class Limits:
    """How simulations are run; nothing here changes what they give.

    Args:
        threads: how many run at the same time.
        timeout: seconds after which one is ended, None for no limit.
        attempts: tries for one that crashes or times out.
        keep_failed: how many working folders of failed simulations to keep.
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

    Raises:
        OSError: when the disk is full or the machine lacks something else: no failure of a simulation.
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
        left = min(worker.deadline for worker in busy) - time.monotonic() if limits.timeout else LOOK_EVERY
        ready = multiprocessing.connection.wait([worker.connection for worker in busy], min(max(0.0, left), LOOK_EVERY))
        now = time.monotonic()
        ended = [
            worker
            for worker in busy
            if worker.connection in ready or not worker.alive or (limits.timeout and now >= worker.deadline)
        ]
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

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.exitcode is None

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def start(self, task: Task, attempt: int = 1) -> None:
        """Starts a simulation in a fresh folder."""
        self.task, self.attempt = task, attempt
        self._workdir = make_folder(self._scratch / f"simulation-{task.index}")
        self._errors.write_bytes(b"")
        self._started = time.monotonic()
        grace = READING_GRACE if self._simulator.isolated else 0.0
        self.deadline = self._started + (self._limits.timeout or 0.0) + grace
        try:
            self.connection.send((task, self._workdir))
        except OSError:  # something that an earlier simulation left behind has ended the idle process
            self._end()
            self.connection.send((task, self._workdir))

    def finish(self) -> tuple[Task, Outcome]:
        """The outcome of the simulation that has ended, or that is over its time and ended here.

        Raises:
            OSError: when it could not be run, or not to its end, because the disk is full or the like.
        """
        outcome = self._received()
        if outcome is None:
            seconds = time.monotonic() - self._started
            code = self._end()
            if code is None:
                message = f"ended after its time limit of {self._limits.timeout:g} s"
                if self._simulator.isolated:  # which has ended its program by itself
                    message = f"its output was not read within {READING_GRACE:g} s more than its time limit"
                outcome = Outcome(Status.TIMED_OUT, {}, seconds, exit_code=-signal.SIGKILL, message=message)
            else:
                by = f"by {signal_name(-code)}" if code < 0 else f"with exit code {code}"
                message = f"the simulation ended its process {by}"
                outcome = Outcome(Status.CRASHED, {}, seconds, exit_code=code, message=message)
        # A program that could not write all that it had to may well end as if nothing had happened.
        if self._simulator.isolated or outcome.status is not Status.OK:
            _check_room(self._scratch)
        if outcome.status is not Status.OK:
            tail = self._errors.read_text(errors="replace")[-STDERR_TAIL:]
            # What a user's exception says may hold what cannot be written as text.
            message = f"{outcome.message}\n{tail}".encode(errors="replace").decode().strip()
            outcome = replace(outcome, message=message)
            if self._limits.keep_failed:
                self._keep()
        remove_folder(self._workdir)
        return self.task, outcome

    def _received(self) -> Outcome | None:
        """What the worker has sent; None when its simulation has ended the process, or has not ended in time."""
        try:
            received = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):  # it ended, perhaps while it sent
            return None
        if isinstance(received, OSError):
            raise received
        return received

    def _keep(self) -> None:
        """Moves the working folder of this failure to a place of its own, while there are not too many."""
        self._failed.mkdir(parents=True, exist_ok=True)
        kept = self._failed / f"{self._workdir.name}-attempt-{self.attempt}"
        with alone_in(self._failed):
            remove_folder(kept)
            if len(list(self._failed.iterdir())) < self._limits.keep_failed:
                shutil.move(self._workdir, kept)

    def _end(self) -> int | None:
        """Puts a new process in this one's place; returns its exit code, None where it had not ended by itself."""
        # A process that ends itself closes its connection a moment before it can be waited for.
        self._process.join(ENDING_GRACE if self.connection.poll() else 0)
        code = self._process.exitcode
        self._kill()
        self._spawn()
        return code

    def _kill(self) -> None:
        end_sessions({self._pid})
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
    if simulator.isolated:
        adopt_orphans()
    with errors.open("a") as stderr:
        os.dup2(stderr.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    faulthandler.enable(file=sys.stderr)
    with contextlib.suppress(EOFError, BrokenPipeError):
        reaper.watch()
        while True:
            task, workdir = connection.recv()
            seed_global_generators(task.seed)
            try:
                outcome = simulator.run(task.theta, task.seed, workdir, timeout, reaper, task.context)
            except OSError as error:
                outcome = error
            except SystemExit as ended:
                _exit(ended.code)
            sys.stderr.flush()
            connection.send(outcome)


def _exit(code: object) -> NoReturn:
    """Ends the process as `sys.exit` would, but at once: it would wait for threads that simulations have left."""
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _check_room(folder: Path) -> None:
    """Checks that there is room on the disk.

    Raises:
        OSError: when it is full.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
