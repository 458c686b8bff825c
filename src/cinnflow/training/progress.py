"""What a person sees while training runs: a bar on a terminal, now and then a line in the log elsewhere."""

from __future__ import annotations

import logging
import math
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cinnflow.training.history import Epoch

log = logging.getLogger(__name__)

LINE_EVERY = 10.0
"""Seconds between two lines of the log."""

_WIDE = 110
"""Columns of a terminal that has room for a bar, beside what it goes by."""


class TrainingProgress:
    """Follows one training: epoch, losses, learning rate, time left.

    Args:
        epochs: largest number of epochs.
        updates_per_epoch: updates in each.
        console: where the bar is drawn; by default standard error, and no bar where that is no terminal.
    """

    def __init__(self, epochs: int, updates_per_epoch: int, console: Console | None = None) -> None:
        console = Console(stderr=True) if console is None else console
        self._epochs, self._updates_per_epoch = epochs, updates_per_epoch
        self._last_epoch = ""
        self._last_line = -math.inf
        self._bar = Progress(
            TextColumn("{task.description}"),
            *((BarColumn(), MofNCompleteColumn(), TextColumn("updates")) if console.width >= _WIDE else ()),
            TextColumn("{task.fields[time]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._total = epochs * updates_per_epoch
        self._task = self._bar.add_task("training", total=self._total, time="left")

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def updates(self, done: int, loss: float) -> None:
        """Notes how many updates are done, and the loss of the latest."""
        number = min(self._epochs, (done - 1) // self._updates_per_epoch + 1)
        description = f"epoch {number}/{self._epochs}, loss {loss:.3f}{self._last_epoch}"
        time = "left" if done < self._total else "took"
        self._bar.update(self._task, completed=done, description=description, time=time)

    def epoch(self, epoch: Epoch) -> None:
        """Notes an epoch that is over."""
        validation = "" if math.isnan(epoch.validation_loss) else f", validation {epoch.validation_loss:.3f}"
        self._last_epoch = f"{validation}, learning rate {epoch.learning_rate:.1e}"
        if time.monotonic() - self._last_line >= LINE_EVERY or epoch.epoch == self._epochs:
            self._last_line = time.monotonic()
            log.info("epoch %d of %d, loss %.3f%s", epoch.epoch, self._epochs, epoch.loss, self._last_epoch)
