"""What every step has in common: its log, and errors that end in a plain word instead of a traceback."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cinnflow.errors import PlainError, in_one_line

log = logging.getLogger("cinnflow")


def run_step(step: Callable[[], None]) -> None:
    """Runs a step: its log goes to standard error, which the rule keeps; what a person follows to standard output."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        step()
    except PlainError as error:
        if error.__cause__ is not None:  # it may be of the user's own code
            log.info("the error came from here:", exc_info=error.__cause__)
        _end(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            _end_unforeseen(error)
        _end(
            f"{error}: make room {_where(error)} and start snakemake again; every simulation that was finished is "
            "kept, and the last checkpoint of a training"
        )
    except Exception as error:
        _end_unforeseen(error)


def say(text: str) -> None:
    """A line for the person who watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _where(error: OSError) -> str:
    """The file system that is full, where the error names a file on it, else those that may be."""
    if not isinstance(error.filename, str):
        return f"in {Path('results').resolve()} or {os.environ.get('TMPDIR', '/tmp')}"
    path = Path(error.filename).resolve()
    return f"on the file system {next(place for place in (path, *path.parents) if place.is_mount())}"


def _end_unforeseen(error: Exception) -> NoReturn:
    log.exception("the step failed")
    say(f"cinnflow: {in_one_line(error)}. {_log_file()} has more")
    sys.exit(1)


def _log_file() -> str:
    """The file that standard error goes to, where the system tells."""
    try:
        path = Path(f"/proc/self/fd/{sys.stderr.fileno()}").readlink()
    except OSError:
        return "the job's log"
    return os.path.relpath(path) if path.is_file() else "the job's log"


def _end(message: str) -> NoReturn:
    log.error(message)
    say(f"cinnflow: {message}")
    sys.exit(1)
