"""Batches made ahead are the same whoever makes them, and their makers end with whoever asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.prior import Prior, PriorError
from cinnflow.simulation.simulator import Simulator
from cinnflow.training.errors import TrainingError
from cinnflow.training.simulation_ahead import SimulationAhead, default_workers
from waiting import eventually, is_alive


def model(batch_size, rng):
    return {"sim_data": rng.standard_normal(batch_size), "process": os.getpid()}


@pytest.mark.parametrize("start", [0, 5])
def test_batches_depend_on_their_seed_and_number_alone(start):
    found = []
    for workers in (0, 1, 3):
        with SimulationAhead(model, workers) as ahead:
            found.append([batch["sim_data"] for batch in ahead.batches(7, 4, start, 9, ahead=3)])
    with SimulationAhead(model, 0) as ahead:
        whole = [batch["sim_data"] for batch in ahead.batches(7, 4, 0, 9, ahead=3)]
    for batches in found:
        np.testing.assert_array_equal(batches, whole[start:])
    assert len(np.unique(whole)) == 36


def test_a_simulation_that_does_not_return_ends_at_its_limit():
    def slow(batch_size, rng):
        time.sleep(600 if rng.random() < 0.5 else 0)
        return model(batch_size, rng)

    with (
        pytest.raises(TrainingError, match=r"a batch of 4 simulations is not done after 4 times the limit of 0\.5 s"),
        SimulationAhead(slow, 2, timeout=0.5) as ahead,
    ):
        list(ahead.batches(7, 4, 0, 40, ahead=3))


def test_processes_share_the_work_and_stay_ahead(tmp_path):
    processes, made = tmp_path / "processes", tmp_path / "made"
    processes.mkdir()
    made.mkdir()

    def noted(batch_size, rng):
        (processes / str(os.getpid())).touch()
        assert eventually(lambda: len(list(processes.iterdir())) == 2), "the other one takes its share"
        batch = model(batch_size, rng)
        (made / str(batch["sim_data"][0])).touch()
        return batch

    with SimulationAhead(noted, 2) as ahead:
        stream = ahead.batches(1, 1, 0, 20, ahead=19)
        seen = {next(stream)["process"]}
        assert eventually(lambda: len(list(made.iterdir())) == 20)  # although one was asked for
        seen |= {batch["process"] for batch in stream}
    assert sorted(map(str, seen)) == sorted(path.name for path in processes.iterdir())
    assert os.getpid() not in seen


def test_without_processes_batches_are_made_one_at_a_time_whoever_asks():
    running, most = [], []

    def slow(batch_size, rng):
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()
        return model(batch_size, rng)

    with SimulationAhead(slow, 0) as ahead, ThreadPoolExecutor(3) as threads:
        assert len(list(threads.map(lambda seed: list(ahead.batches(seed, 1, 0, 5, 0)), range(3)))) == 3
    assert most == [1] * 15


def test_closing_waits_for_the_batch_that_is_being_made_and_begins_no_other():
    events = []

    def slow(*_):
        events.append("begun")
        closing.start()
        assert eventually(lambda: ahead._closed)
        time.sleep(0.1)
        events.append("ended")
        return {}

    ahead = SimulationAhead(slow, 0)
    closing = threading.Thread(target=lambda: (ahead.close(), events.append("closed")))
    with pytest.raises(TrainingError, match="Cancelled"):
        list(ahead.batches(1, 1, 0, 5, 0))
    closing.join()
    assert events == ["begun", "ended", "closed"]


def test_who_is_interrupted_does_not_wait_for_simulations_in_processes(tmp_path):
    def hangs(*_):
        (tmp_path / str(os.getpid())).touch()
        time.sleep(600)

    with pytest.raises(KeyboardInterrupt), ThreadPoolExecutor(1) as thread, SimulationAhead(hangs, 2) as ahead:
        thread.submit(next, ahead.batches(1, 1, 0, 9, 8))
        assert eventually(lambda: len(list(tmp_path.iterdir())) == 2)
        raise KeyboardInterrupt
    assert not any(is_alive(int(path.name)) for path in tmp_path.iterdir())


def test_nothing_is_simulated_once_it_is_closed():
    made = []
    with SimulationAhead(lambda *_: made.append(1) or {}, 0) as ahead:
        stream = ahead.batches(1, 1, 0, 5, 0)
        next(stream)
    with pytest.raises(TrainingError, match="Cancelled"):
        next(stream)
    assert len(made) == 1


def test_a_simulator_that_takes_its_process_down_is_told_of():
    def crashing(*_):
        os._exit(3)

    with SimulationAhead(crashing, 1) as ahead, pytest.raises(TrainingError, match="the simulator crashed it"):
        list(ahead.batches(1, 1, 0, 2, ahead=1))


def test_training_ends_where_one_of_several_processes_is_taken_down(tmp_path):
    def killed(*_):
        (tmp_path / str(os.getpid())).touch()
        eventually(lambda: len(list(tmp_path.iterdir())) == 2)
        time.sleep(0.5)  # both have looked whether they are still asked for
        os.kill(os.getpid(), signal.SIGKILL)

    # The error leaves the block, which then gives up.
    with pytest.raises(TrainingError, match="the simulator crashed it"), SimulationAhead(killed, 2) as ahead:
        list(ahead.batches(1, 1, 0, 9, 8))


def test_functions_that_draw_from_a_global_generator_give_each_batch_its_own_numbers():
    with SimulationAhead(lambda *_: {"x": np.random.normal()}, 2) as ahead:  # noqa: NPY002
        made, again = ([batch["x"] for batch in ahead.batches(1, 1, 0, 8, 7)] for _ in range(2))
    assert len(set(made)) == 8
    assert made == again


def test_an_exception_of_the_simulator_is_told_of():
    with SimulationAhead(lambda *_: 1 / 0, 0) as ahead, pytest.raises(TrainingError, match=r"ZeroDiv.*A study"):
        list(ahead.batches(1, 1, 0, 2, ahead=1))


def test_a_prior_that_fails_is_not_taken_for_the_simulator():
    prior = Prior(lambda rng: [1 / (rng.random() > 0.4)], ["a"])
    for workers in (0, 1):
        with (
            SimulationAhead(GenerativeModel(prior, Simulator(lambda theta, _: theta)), workers) as ahead,
            pytest.raises(TrainingError, match="the prior failed: ZeroDivisionError") as raised,
        ):
            list(ahead.batches(1, 20, 0, 2, ahead=1))
        assert "simulator" not in str(raised.value)


def test_processes_end_with_the_one_that_started_them():
    code = (
        "import os, time\n"
        "from cinnflow.training.simulation_ahead import SimulationAhead\n"
        "def model(batch_size, rng): return {'pid': os.getpid()}\n"
        "ahead = SimulationAhead(model, 2)\n"
        "print(next(ahead.batches(1, 1, 0, 8, 7))['pid'], flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert eventually(lambda: not is_alive(worker))


def test_only_python_functions_of_one_vector_get_processes_by_default():
    prior = Prior(lambda rng: rng.normal(size=2), ["a", "b"])
    assert default_workers(GenerativeModel(prior, Simulator(model))) == len(os.sched_getaffinity(0))
    assert default_workers(GenerativeModel(prior, Simulator(model, batched=True))) == 0
    assert default_workers(model) == 0


def test_a_generator_of_the_model_files_own_is_refused_where_processes_would_share_it():
    own = np.random.default_rng(1)
    prior, simulator = Prior(lambda _: own.normal(size=2)), Simulator(lambda theta, rng: theta + rng.normal(size=2))
    model = GenerativeModel(prior, simulator)
    with pytest.raises(PriorError, match="from elsewhere than its argument rng"):
        SimulationAhead(model, 2)
    with SimulationAhead(model, 0) as ahead:
        assert next(iter(ahead.at_least(1, 1, 4)))["prior_draws"].shape == (4, 2)
    seeded = GenerativeModel(Prior(lambda _: np.random.normal(size=2)), simulator)  # noqa: NPY002
    with SimulationAhead(seeded, 2):
        pass
