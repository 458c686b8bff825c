"""Snakemakes that start at once: forks of a process that has imported what every snakemake imports.

Only packages of others are imported ahead: each fork imports cinnflow from the study that it runs in.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

AHEAD = ["snakemake.cli", "snakemake.report.html_reporter", "snakemake.storage", "google_crc32c", "jinja2"]


class Forks:
    """A process that forks into one snakemake after another; it ends with this one.

    Args:
        hash_seed: in what order its snakemakes have sets of text.
    """

    def __init__(self, hash_seed: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell's background job ignores Ctrl-C, and so would everything that a suite run there starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def start(self, folder: Path, arguments: list[str], environment: dict[str, str], output: str) -> Fork:
        """Starts a `snakemake` in a process group of its own; all that it says goes to the end of a file."""
        request = {"folder": str(folder), "arguments": arguments, "environment": environment, "output": output}
        return Fork(self, self.ask(**request))

    def ask(self, **request: Any) -> Any:
        """One request to the process, and its answer."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Fork:
    """One snakemake."""

    def __init__(self, forks: Forks, pid: int) -> None:
        self._forks = forks
        self._code: int | None = None
        self.pid = pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            self._code = self._forks.ask(ended=self.pid)
        return self._code

    def wait(self, seconds: float) -> int:
        """Waits for its end; its exit code."""
        until = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("snakemake", seconds)
            time.sleep(0.02)
        return code


def serve() -> list[str]:
    """Answers requests, until one is to become a snakemake: returns its arguments, in the fork."""
    for name in AHEAD:
        __import__(name)
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                become(request)
                return request["arguments"]
        print(json.dumps(answer), flush=True)
    sys.exit()


def become(request: dict[str, Any]) -> None:
    """Makes this process one that was started in a folder, with an environment and an output of its own."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    output, nothing = os.open(request["output"], os.O_WRONLY | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, nothing), (1, output), (2, output)):
        os.dup2(file, number)
    sys.path[0] = request["folder"]


if __name__ == "__main__":
    sys.argv[1:] = serve()
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
