import contextlib
import ctypes
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from simulating import processes_of, simulate

from cinnflow.simulation.outcome import Status
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits, Task, run_all
from waiting import eventually, is_alive


def fail_as(theta, rng):
    """Fails in the way that its parameter says; else gives random numbers."""
    match int(theta[0]):
        case 1:
            sys.stderr.write("before the fall\n")
            raise ValueError("no solution")
        case 2:
            return np.array([1.0, np.nan])
        case 3:
            ctypes.string_at(0)
        case 4:
            sys.stderr.write("last line\n")
            os._exit(4)
        case 5:
            sys.exit(5)
        case 6:
            time.sleep(60)
        case 11:
            threading.Thread(target=time.sleep, args=(60,)).start()
            sys.exit("enough")
        case 7:
            return None
        case 8:
            raise ValueError("a file called \udce9")
        case 9:
            return {"x": np.array([1 + 1j])}
        case 10:
            os.kill(os.getpid(), signal.SIGRTMIN + 1)
    return rng.normal(size=3)


EXPECTED = {
    1: (Status.CRASHED, 0, "ValueError: no solution"),
    2: (Status.NOT_FINITE, 0, "1 values of 2 that are not finite"),
    3: (Status.CRASHED, -11, "by SIGSEGV"),
    4: (Status.CRASHED, 4, "with exit code 4\nlast line"),
    5: (Status.CRASHED, 5, "with exit code 5"),
    6: (Status.TIMED_OUT, -9, "after its time limit of 2 s"),
    7: (Status.UNREADABLE, 0, "returned no data: None"),
    8: (Status.CRASHED, 0, "a file called ?"),
    9: (Status.UNREADABLE, 0, "complex"),
    10: (Status.CRASHED, -signal.SIGRTMIN - 1, "by signal"),
    11: (Status.CRASHED, 1, "with exit code 1\nenough"),
}


def test_functions_that_draw_from_global_generators_repeat_themselves_only_for_the_same_seed(tmp_path):
    simulator = Simulator(lambda *_: np.array([np.random.normal(), random.random()]))  # noqa: NPY002
    tasks = [Task(index, np.zeros(1), seed=index) for index in range(9)]
    runs = [
        {
            task.index: outcome.data["x"]
            for task, outcome in run_all(simulator, tasks, Limits(threads=threads), tmp_path, tmp_path / "failed")
        }
        for threads in (1, 3)
    ]
    for index in range(9):
        np.testing.assert_array_equal(runs[0][index], runs[1][index])
    assert len(np.unique([runs[0][index] for index in range(9)])) == 18


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_is_its_own_simulations_alone(tmp_path, threads):
    thetas = [[kind] for kind in (0, 1, 0, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 10, 11, 0)]
    outcomes = simulate(Simulator(fail_as), tmp_path, thetas, threads=threads, timeout=2)
    for index, ((kind,), outcome) in enumerate(zip(thetas, outcomes, strict=True)):
        if kind:
            status, exit_code, says = EXPECTED[kind]
            assert (outcome.status, outcome.exit_code, outcome.data) == (status, exit_code, {})
            assert says in outcome.message
            outcome.message.encode()
        else:
            expected = simulate(Simulator(fail_as), tmp_path, [[0]] * (index + 1))[index] if threads == 1 else outcome
            np.testing.assert_array_equal(outcome.data["x"], expected.data["x"])
    assert "in fail_as" in outcomes[1].message, "the user's own line is named"
    assert outcomes[1].message.endswith("before the fall"), "standard error is kept"
    assert eventually(lambda: not processes_of(tmp_path))
    assert list((tmp_path / "work").iterdir()) == []


def test_what_is_simulated_depends_on_the_seed_alone(tmp_path):
    def busy(theta, rng):
        time.sleep(rng.uniform(0, 0.01))
        return {"a": rng.normal(size=2), "b": theta[0] + rng.integers(9)}

    thetas = np.arange(12.0)[:, None]
    one = simulate(Simulator(busy), tmp_path, thetas)
    many = simulate(Simulator(busy), tmp_path, thetas, threads=4)
    for left, right in zip(one, many, strict=True):
        np.testing.assert_equal(left.data, right.data)
    assert len({float(outcome.data["a"][0]) for outcome in one}) == 12


def test_batched_simulators_run_one_simulation_at_a_time(tmp_path):
    outcomes = simulate(Simulator(lambda theta, _: {"y": theta * 2}, batched=True), tmp_path, [(1, 2), (3, 4)], "ab")
    np.testing.assert_array_equal([outcome.data["y"] for outcome in outcomes], [[2, 4], [6, 8]])
    (outcome,) = simulate(Simulator(lambda theta, _: theta[0], batched=True), tmp_path, [(1, 2)], "ab")
    assert outcome.status is Status.CRASHED
    assert "first axis is the batch" in outcome.message


def square(x):
    return x * x


def test_simulators_may_start_processes_of_their_own(tmp_path):
    def simulator(theta, _):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            squares = pool.map(square, [theta[0], 2.0])
        said = subprocess.run(["echo", "5"], capture_output=True, check=True, text=True).stdout
        return [*squares, float(said)]

    outcomes = simulate(Simulator(simulator), tmp_path, [[3], [4]], timeout=60)
    np.testing.assert_array_equal([outcome.data["x"] for outcome in outcomes], [[9, 4, 5], [16, 4, 5]])


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_process_that_a_dead_simulation_left_does_not_hide_its_death(tmp_path, timeout):
    def leaves_a_child(theta, _):
        if theta[0]:
            if not os.fork():
                (tmp_path / "pid").write_text(str(os.getpid()))
                time.sleep(60)
                (tmp_path / "outlived").touch()
            while not (tmp_path / "pid").exists():
                time.sleep(0.01)
            os._exit(3)
        return 1.0

    outcomes = simulate(Simulator(leaves_a_child), tmp_path, [[1], [0]], timeout=timeout)
    assert [outcome.status for outcome in outcomes] == [Status.CRASHED, Status.OK]
    assert not (tmp_path / "outlived").exists()
    assert eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_the_time_limit_ends_a_simulations_children_too(tmp_path):
    def hangs(*_):
        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "pid").write_text(str(child.pid))
        child.wait()

    (outcome,) = simulate(Simulator(hangs), tmp_path, timeout=1)
    assert outcome.status is Status.TIMED_OUT
    assert eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_an_idle_worker_that_dies_is_replaced(tmp_path):
    def leaves_a_killer(theta, _):
        if theta[0]:
            subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {os.getpid()}"])
        return 1.0

    ended = run_all(
        Simulator(leaves_a_killer),
        [Task(0, np.ones(1), 0), Task(1, np.zeros(1), 1)],
        Limits(),
        tmp_path / "work",
        tmp_path / "failed",
    )
    assert next(ended)[1].status is Status.OK
    time.sleep(1)
    assert next(ended)[1].status is Status.OK
    assert next(ended, None) is None


def test_nothing_new_starts_before_the_consumer_asks(tmp_path):
    def notes(theta, _):
        (tmp_path / f"started-{int(theta[0])}").touch()
        return 1.0

    tasks = [Task(index, np.array([index]), index) for index in range(6)]
    with contextlib.closing(
        run_all(Simulator(notes), tasks, Limits(threads=2), tmp_path / "work", tmp_path / "failed")
    ) as ended:
        for finished in range(1, 4):
            next(ended)
            assert len(list(tmp_path.glob("started-*"))) <= finished - 1 + 2
    assert eventually(lambda: not processes_of(tmp_path))


def test_a_full_disk_is_no_failure_of_the_simulation(tmp_path, monkeypatch):
    def no_room(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cinnflow.simulation.workers.tempfile.TemporaryFile", no_room)
    with pytest.raises(OSError, match="No space left"):
        simulate(Simulator(fail_as), tmp_path, [[1]])
    assert simulate(Simulator(fail_as), tmp_path, [[0]])[0].status is Status.OK
    assert eventually(lambda: not processes_of(tmp_path))


def test_in_this_process_a_simulator_takes_a_batch():
    theta, rng = np.array([[1.0, 2.0], [3.0, 4.0]]), np.random.default_rng(1)
    np.testing.assert_array_equal(Simulator(lambda theta, _: theta + 1)(theta, rng), theta + 1)
    np.testing.assert_array_equal(Simulator(lambda theta, _: theta + 1, batched=True)(theta, rng), theta + 1)
    named = Simulator(lambda theta, _: {"a": theta.sum(), "b": theta})(theta, rng)
    np.testing.assert_equal(named, {"a": np.array([3.0, 7.0]), "b": theta})
