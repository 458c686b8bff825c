"""A simulator that is somebody else's program."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import string
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cinnflow.simulation.context import Context, ContextGenerator
from cinnflow.simulation.descendants import children, end_children
from cinnflow.simulation.outcome import Outcome, Status, outcome_of, signal_name
from cinnflow.simulation.padding import MaxLength, check_max_length
from cinnflow.simulation.reaper import Reaper
from cinnflow.simulation.seeds import program_seed
from cinnflow.simulation.sessions import end_sessions
from cinnflow.simulation.tables import READERS

RESERVED = ("params", "seed", "out", "workdir")
STDERR_TAIL = 2000
_NO_OUTPUT = "the program has to write {out}; where it prints its output, take ExternalSimulator(..., stdout=True)"
_NOT_FOUND = (126, 127)
"""Exit codes of a shell that cannot run a program."""
_IN_A_SHELL = (
    "it runs in an empty folder, so that a file beside the model file takes an argument of its own, as in "
    "['sh', '-c', '\"$0\" {rate} | sort > {out}', './program']"
)
_SHELL_WORDS = re.compile(r"[\s;|&<>()'\"=]+")
"""What lies between the words of a shell's text."""
MACHINE_IS_SHORT = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of starting a program that are no doing of the simulation: of processes, memory or open files."""
# A batch runs its simulations side by side, so each gets one thread; more would also let the order of a program's
# sums, and with it the bits of the store, depend on how many cores there are. So would the order of Python's sets of
# text depend on the process.
REPEATABLE = {"PYTHONHASHSEED": "0"} | dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "JULIA_NUM_THREADS",
    ),
    "1",
)


class ExternalSimulator:
    """A program that reads parameters and a seed and writes a file.

    Args:
        command: the program and its arguments, run without a shell. In them, {params} stands for a JSON file of the
            parameters and contexts by name, the name of one that is a number in braces for its value, {seed} for an
            integer below 2**31, {out} for the file to write and {workdir} for the empty folder that the program runs
            in. Double braces stand for a brace. A program or file named by a relative path lies beside the model file;
            a bare name is looked up on PATH.
        out: path of the file that the program writes, relative to its folder.
        read: `read(path)` gives an array or a dict of arrays; without it the suffix of `out` decides
            (.csv .json .npy .npz .h5).
        files: files beside the model file whose bytes are part of what a simulation means; the program itself, where
            it is named by a relative path, is so without being listed.
        context_generator: what a simulation depends on beside its parameters; a context that is an array stands in
            {params} alone.
        max_length: as for `Simulator`.
        stdout: whether `out` is made of what the program prints, and not written by the program itself.

    Raises:
        ValueError: for an empty command, an output outside the program's folder, or one that nothing here reads.
    """

    isolated = True

    def __init__(
        self,
        command: Sequence[str],
        out: str,
        read: Callable[[Path], Any] | None = None,
        files: Sequence[str] = (),
        context_generator: ContextGenerator | None = None,
        max_length: MaxLength = None,
        stdout: bool = False,
    ) -> None:
        check_max_length(max_length)
        if isinstance(command, str) or not command:
            raise ValueError(f"command takes a list, such as ['./program', '--out', '{{out}}'], got {command!r}")
        if Path(out).is_absolute() or ".." in Path(out).parts:
            raise ValueError(f"out={out!r}: takes a path below the folder that the program runs in, as 'cases.csv'")
        if read is None and Path(out).suffix not in READERS:
            raise ValueError(f"out={out!r}: without read=, its suffix must be one of {', '.join(READERS)}")
        self.command = [str(part) for part in command]
        self.out = out
        self.stdout = stdout
        self.read = read or READERS[Path(out).suffix]
        self.files = list(files)
        self.context_generator = context_generator or ContextGenerator()
        self.max_length = max_length
        self._names: list[str] = []
        self.undeclared: list[str] = []
        """Files that the command names by an absolute path, and that are not declared, once it is bound."""

    def bind(self, names: Sequence[str], folder: Path) -> None:
        """Fills in what the model file knows: the parameters' names, and the folder that relative paths start from.

        Raises:
            ValueError: when a placeholder of the command is none of the known names, or a parameter has the name of
                another placeholder.
            FileNotFoundError: when the program is not there.
        """
        self._names = list(names)
        context = self.context_generator.example("sim")
        for kind, own, others in (("parameter", names, RESERVED), ("context", context, (*RESERVED, *names))):
            taken = [name for name in own if name in others]
            if taken:
                raise ValueError(f"a {kind} named {taken[0]!r}: in a command, {{{taken[0]}}} stands for something else")
        numbers = [name for name, value in context.items() if value.ndim == 0]
        for part in self.command:
            _check_placeholders(part, (*RESERVED, *names, *numbers))
        located = [_located(part, folder, program=i == 0) for i, part in enumerate(self.command)]
        self.files = sorted(
            {*self.files, *(os.path.normpath(part) for part, path in zip(self.command, located, strict=True) if path)}
        )
        declared = {(folder / name).resolve() for name in self.files}
        words = [word for part in self.command for word in (part, *_SHELL_WORDS.split(part))]
        self.undeclared = [
            word
            for word in dict.fromkeys(words)
            if Path(word).is_absolute()
            and os.path.isfile(word)  # noqa: PTH113
            and Path(word).resolve() not in declared
            and shutil.which(Path(word).name) != word
        ]
        program = located[0] or self.command[0]
        if shutil.which(program) is None:
            where = "no such executable file (chmod +x?)" if os.sep in program else "not found on PATH"
            raise FileNotFoundError(f"the program {program!r} cannot be run: {where}")
        # Nothing is filled in where a folder's name has braces.
        self.command = [
            path.replace("{", "{{").replace("}", "}}") if path else part
            for part, path in zip(self.command, located, strict=True)
        ]

    def run(
        self, theta: np.ndarray, seed: int, workdir: Path, timeout: float | None, reaper: Reaper, context: Context
    ) -> Outcome:
        """Runs one simulation in `workdir`, an empty folder of its own, and reads what it wrote."""
        (workdir / "run").mkdir()
        params = workdir / "params.json"
        inputs = dict(zip(self._names, theta.tolist(), strict=True))
        inputs |= {name: value[0].tolist() for name, value in context.named("sim", 1).items()}
        params.write_text(json.dumps(inputs))
        run, out = workdir / "run", workdir / "run" / self.out
        values = {"params": params, "seed": program_seed(seed), "out": out, "workdir": run}
        values |= {name: _decimal(value) for name, value in inputs.items() if not isinstance(value, list)}
        command = [part.format(**values) for part in self.command]
        start = time.perf_counter()
        before = children()  # perhaps of the user's own reader, which lives longer than one simulation
        if self.stdout:
            out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir) as stderr, open(out if self.stdout else os.devnull, "wb") as stdout:  # noqa: PTH123
            try:
                process = subprocess.Popen(
                    command,
                    cwd=run,
                    env={**os.environ, **REPEATABLE},
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                    preexec_fn=reaper.watch,
                )
            except OSError as error:
                if error.errno in MACHINE_IS_SHORT:
                    raise
                return Outcome(Status.CRASHED, message=f"{command[0]} could not be started: {error}")
            code = _wait(process, timeout)
            reaper.forget(process.pid)
            seconds = time.perf_counter() - start
            end_children(before)
            tail = _tail(stderr)
        if code is None:
            message = f"ended after its time limit of {timeout:g} s\n{tail}".rstrip()
            return Outcome(Status.TIMED_OUT, seconds=seconds, exit_code=-signal.SIGKILL, message=message)
        if code != 0:
            how = f"ended by {signal_name(-code)}" if code < 0 else f"exit code {code}"
            if code in _NOT_FOUND:
                how = f"{how}: {_IN_A_SHELL}"
            return Outcome(Status.CRASHED, seconds=seconds, exit_code=code, message=f"{how}\n{tail}".rstrip())
        if not out.is_file():
            message = f"exit code 0, but no file {self.out}: {_NO_OUTPUT}\n{tail}".rstrip()
            return Outcome(Status.UNREADABLE, seconds=seconds, message=message)
        try:
            output = self.read(out)
        except Exception as error:
            message = f"{self.out} could not be read: {type(error).__name__}: {error}\n{tail}".rstrip()
            return Outcome(Status.UNREADABLE, seconds=seconds, message=message)
        return outcome_of(output, seconds, self.max_length)


def _located(part: str, folder: Path, program: bool) -> str | None:
    """The absolute path of a part of the command that names a file beside the model file, None for any other part."""
    bare = os.sep not in part
    if Path(part).is_absolute() or (program and bare):
        return None
    path = folder / part
    # Unlike Path.is_file, os.path.isfile takes any text, such as a script that is longer than a name can be.
    return str(path.resolve()) if os.path.isfile(path) or (program and not bare) else None  # noqa: PTH113


def _check_placeholders(part: str, known: Sequence[str]) -> None:
    takes = f"takes {', '.join(f'{{{name}}}' for name in known)}; write {{{{ and }}}} for plain braces"
    try:
        fields = [field for field in string.Formatter().parse(part) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"{part!r} in the command: {error}; {takes}") from error
    for _, name, form, conversion in fields:
        if name not in known or form or conversion:
            raise ValueError(f"{part!r} in the command: cannot fill in {{{name}}}; {takes}")


def _decimal(value: float) -> str:
    """A number in plain decimals: option parsers take -0.00001 for a number, and -1e-05 for options."""
    return str(int(value)) if isinstance(value, int) else np.format_float_positional(value, trim="-")


def _wait(process: subprocess.Popen[bytes], timeout: float | None) -> int | None:
    """Exit code of the program, None at the time limit.

    Its process group is gone in either case, and at the time limit whatever else runs in its session.
    """
    expired = threading.Event()

    def end_group() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def expire() -> None:
        expired.set()
        end_sessions({process.pid})

    if timeout is None:
        code = process.wait()
    else:
        # Popen.wait(timeout) looks only every 50 ms, which many a program does not take.
        timer = threading.Timer(timeout, expire)
        timer.start()
        code = process.wait()
        timer.cancel()
        timer.join()  # no thread is left when the next program is forked
    end_group()
    return None if expired.is_set() else code


def _tail(file: BinaryIO) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - STDERR_TAIL))
    return file.read().decode(errors="replace").strip()
