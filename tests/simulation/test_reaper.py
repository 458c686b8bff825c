"""The process that ends what a killed batch leaves running, however late it gets its turn."""

import os
import signal
import subprocess
import sys

from waiting import eventually, is_alive

# A batch whose one worker starts a process, in a group of its own, that outlives them both. It prints the reaper, the
# worker and that process.
BATCH = """
import os, signal, subprocess, sys
from cinnflow.simulation.reaper import Reaper

reaper = Reaper()
own_session = os.getsid(reaper._pid) == reaper._pid
worker = os.fork()
if worker == 0:
    os.setsid()
    reaper.release()
    reaper.watch()
    left = subprocess.Popen(["sleep", "61"], stdout=subprocess.DEVNULL, process_group=0)
    print(reaper._pid, os.getpid(), left.pid, int(own_session), flush=True)
signal.pause()
"""


def start():
    batch = subprocess.Popen([sys.executable, "-c", BATCH], stdout=subprocess.PIPE, text=True, process_group=0)
    return batch, *map(int, batch.stdout.readline().split())


def wait_until_none_runs(*pids):
    assert eventually(lambda: not any(map(is_alive, pids)))


def test_is_out_of_reach_of_what_kills_the_batch_before_anything_can_start():
    batch, reaper, worker, left, own_session = start()
    assert own_session
    os.killpg(batch.pid, signal.SIGKILL)
    batch.communicate()
    wait_until_none_runs(reaper, worker, left)


def test_ends_what_is_left_even_where_batch_and_worker_were_gone_before_its_turn():
    batch, reaper, worker, left, _ = start()
    os.kill(reaper, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    batch.kill()
    batch.wait()
    wait_until_none_runs(worker)
    assert is_alive(left)
    os.kill(reaper, signal.SIGCONT)
    wait_until_none_runs(reaper, left)
    batch.stdout.close()
