"""What a person sees of a training: a bar on a terminal, lines in the log elsewhere."""

from __future__ import annotations

import io
import logging
import re

from rich.console import Console

from cinnflow.training.history import Epoch
from cinnflow.training.progress import TrainingProgress


def watch(terminal, width=160):
    output = io.StringIO()
    with TrainingProgress(3, 100, Console(file=output, force_terminal=terminal, width=width)) as progress:
        for number in (1, 2, 3):
            progress.updates(100 * number - 50, 1.5)
            progress.epoch(Epoch(number, 1.25, 1.5, 1e-3, 0.1))
            progress.updates(100 * number, 1.0)
    return output.getvalue()


def test_a_terminal_shows_epoch_losses_learning_rate_and_updates():
    shown = watch(terminal=True)
    for part in ("epoch 3/3", "loss 1.000", "validation 1.500", "learning rate 1.0e-03", "300/300"):
        assert part in shown


def test_a_terminal_of_80_columns_shows_the_time_and_no_bar():
    shown = re.sub(r"\x1b\[[0-9;]*m", "", watch(terminal=True, width=80))
    assert re.search(r"epoch 3/3, loss 1.000, validation 1.500, learning rate 1.0e-03 took \d", shown)
    assert "300/300" not in shown


def test_a_training_that_has_not_ended_shows_the_time_left():
    output = io.StringIO()
    with TrainingProgress(3, 100, Console(file=output, force_terminal=True, width=80)) as progress:
        progress.updates(50, 1.5)
    assert re.search(r"epoch 1/3, loss 1.500 left [-\d]", re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue()))


def test_elsewhere_there_are_lines_in_the_log_alone(caplog):
    caplog.set_level(logging.INFO)
    assert watch(terminal=False).strip() == ""
    # The first and the last: the others came too soon.
    assert [record.message.split(",")[0] for record in caplog.records] == ["epoch 1 of 3", "epoch 3 of 3"]
