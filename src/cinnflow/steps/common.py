"""What every step has in common: its log, and errors that end in a plain word instead of a traceback."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable

from cinnflow.errors import PlainError

log = logging.getLogger("cinnflow")


def run_step(step: Callable[[], None]) -> None:
    """Runs a step: its log goes to standard error, which the rule keeps; what a person follows to standard output."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        step()
    except PlainError as error:
        _end(str(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            log.exception("the step failed")
            raise
        _end(f"{error}: make room and start snakemake again; every simulation that was finished is kept")
    except Exception:
        log.exception("the step failed")
        raise


def say(text: str) -> None:
    """A line for the person who watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(message: str) -> None:
    log.error(message)
    say(f"cinnflow: {message}")
    sys.exit(1)
