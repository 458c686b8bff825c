"""Simulates the batches that training takes, in worker processes or in the thread that prepares them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

import numpy as np

from cinnflow.errors import PlainError
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.seeds import fixed_global_generators, seed_global_generators
from cinnflow.simulation.simulator import Simulator
from cinnflow.training.errors import TrainingError

Model = Callable[[int, np.random.Generator], Mapping[str, Any]]
Simulated = Mapping[str, Any]

_LOOK_EVERY = 0.2
"""Seconds between two looks of a process at whether it is still asked for."""
_GO_ON = "A study (snakemake) with the regime rounds or offline keeps such a simulation as a failure, and goes on"


class SimulationAhead:
    """Makes batches in the order in which they are asked for: processes some ahead, so that training does not wait.

    A batch depends on its seed and its number alone: neither on how many workers there are nor on who makes it.

    Args:
        model: model(batch_size, rng) gives a batch, a dict of arrays.
        workers: processes that simulate; 0: the thread that asks, one batch at a time, for functions that compute on
            whole batches, or that use TensorFlow, which does not survive in a forked process; None: `default_workers`.
        timeout: seconds for one simulation in a process, on average over a batch; None: no limit.

    Raises:
        ValueError: for a timeout where no processes simulate.
        PriorError: for processes, where the same seed gives other parameters each time.
        TrainingError: from `batches` and `at_least`, where the model raised an exception, took its process down, or
            took too long.
    """

    def __init__(self, model: Model, workers: int | None, timeout: float | None = None) -> None:
        if workers is None:
            workers = default_workers(model)
        if timeout is not None and not workers:
            raise ValueError("simulation_timeout takes processes that simulate (simulation_workers): a thread has none")
        self.model = model
        self._timeout = timeout
        self._executor: ProcessPoolExecutor | None = None
        self._closed = False
        # A user's function may keep something between its calls.
        self._one_at_a_time = threading.Lock()
        if workers:
            if isinstance(model, GenerativeModel):
                # Each batch sets the global generators in its process, and nobody sets others.
                model.prior.check_repeatable(fixed_global_generators)
            # Forked, so that a model may be any function, also one of a script's own.
            context = multiprocessing.get_context("fork")
            # No event: to set one waits for all who wait for it, also for a process that has died meanwhile.
            self._given_up = context.RawValue("b", False)
            self._executor = ProcessPoolExecutor(workers, context, _start_worker, (model, os.getpid(), self._given_up))

    def batches(self, seed: int, batch_size: int, start: int, stop: int, ahead: int) -> Iterator[Simulated]:
        """Batches number `start` to `stop` of a seed.

        Args:
            seed: their seed.
            batch_size: simulations in each.
            start: number of the first.
            stop: number after the last.
            ahead: how many processes make, or have waiting, beyond the one that is asked for.
        """
        if self._executor is None:
            for number in range(start, stop):
                yield _checked(partial(self._simulate_here, batch_size, [seed, number]))
            return
        waiting: deque[Future[Simulated]] = deque()
        number = start
        try:
            for _ in range(start, stop):
                while number < stop and len(waiting) <= ahead:
                    waiting.append(self._executor.submit(_simulate_in_worker, batch_size, [seed, number]))
                    number += 1
                yield _checked(partial(self._awaited, waiting.popleft(), batch_size))
        finally:
            for future in waiting:
                future.cancel()

    def at_least(self, count: int, seed: int, batch_size: int) -> list[Simulated]:
        """The first `count` simulations of a seed or a few more, in batches: what a batch shares may differ between."""
        batches = -(-count // batch_size)
        return list(self.batches(seed, batch_size, 0, batches, batches))

    def close(self, give_up: bool = False) -> None:
        """Waits for the batches that are being made; nobody simulates anything after that.

        Args:
            give_up: whether processes leave their batches as they are.
        """
        # Before the wait: whoever simulates could take the lock again, batch after batch, before it is our turn.
        self._closed = True
        with self._one_at_a_time:
            pass
        if self._executor is not None:
            if give_up:
                self._given_up.value = True
            self._executor.shutdown(cancel_futures=True)

    def _awaited(self, coming: Future[Simulated], batch_size: int) -> Simulated:
        # A process has begun with it, or is about to: none that was asked for earlier is still waited for.
        if not wait([coming], None if self._timeout is None else self._timeout * batch_size).done:
            raise TrainingError(
                f"a batch of {batch_size} simulations is not done after {batch_size} times the limit of "
                f"{self._timeout:g} s for one. {_GO_ON}"
            )
        return coming.result()

    def _simulate_here(self, batch_size: int, seed: list[int]) -> Simulated:
        with self._one_at_a_time:
            if self._closed:
                raise CancelledError
            return self.model(batch_size, np.random.default_rng(seed))

    def __enter__(self) -> SimulationAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who interrupts training does not wait for simulations that take long.
        self.close(give_up=kind is not None)


def _checked(simulate: Callable[[], Simulated]) -> Simulated:
    try:
        return simulate()
    except TrainingError:
        raise
    except PlainError as error:  # of the prior or of a context: a study cannot go on without them either
        raise TrainingError(str(error)) from error
    except BrokenProcessPool as error:
        raise TrainingError(f"the simulator crashed its process, or memory ran out. {_GO_ON}") from error
    except Exception as error:  # whatever a user's function raises
        raise TrainingError(f"the simulator failed: {type(error).__name__}: {error}. {_GO_ON}") from error


def default_workers(model: Model) -> int:
    """As many processes as there are cores for a Python function of one parameter vector; none for anything else."""
    simulator = model.simulator if isinstance(model, GenerativeModel) else None
    one_by_one = isinstance(simulator, Simulator) and not simulator.batched
    return len(os.sched_getaffinity(0)) if one_by_one and hasattr(os, "sched_getaffinity") else 0


_model: Model | None = None
"""In a worker process: what it simulates with."""


def _start_worker(model: Model, parent: int, given_up: Any) -> None:
    global _model
    _model = model
    # The parent's business: it lets its workers end in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent, given_up), daemon=True).start()


def _end_with(parent: int, given_up: Any) -> None:
    """Ends this process when its parent has given up, or is gone: nothing else would tell how that ended."""
    while os.getppid() == parent and not given_up.value:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def _simulate_in_worker(batch_size: int, seed: list[int]) -> Simulated:
    assert _model is not None
    seed_global_generators(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    return _model(batch_size, np.random.default_rng(seed))
