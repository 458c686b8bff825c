"""What every step has in common: its log, and errors that end in a plain word instead of a traceback."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable

from cinnflow.config import ConfigError
from cinnflow.inference.errors import PosteriorFileError, SummaryNetworkError
from cinnflow.inference.observation import ObservationError
from cinnflow.simulation.context import ContextError
from cinnflow.simulation.model_file import ModelError
from cinnflow.simulation.prior import PriorError
from cinnflow.store.layout import StoreError
from cinnflow.store.source import SourceError
from cinnflow.training.errors import TrainingError

log = logging.getLogger("cinnflow")

PLAIN = (
    ConfigError,
    ContextError,
    ModelError,
    ObservationError,
    PosteriorFileError,
    PriorError,
    SourceError,
    StoreError,
    SummaryNetworkError,
    TrainingError,
)
"""Errors whose message tells a user all there is to know."""


def run_step(step: Callable[[], None]) -> None:
    """Runs a step: its log goes to standard error, which the rule keeps; what a person follows to standard output."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        step()
    except PLAIN as error:
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
