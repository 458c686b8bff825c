"""The step of the diagnostics, where the losses are told why a training ended."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest

from cinnflow.diagnostics import losses, verdicts
from cinnflow.steps import diagnose

ENDED = "after epoch 1: it broke down: the loss is nan, in epoch 2; the weights of epoch 1 are kept"


@pytest.mark.parametrize(
    ("record", "word", "reason"),
    [
        (json.dumps({"ended": ENDED}), verdicts.FAIL, f"training ended {ENDED}"),
        ("{}", verdicts.UNFINISHED, "the validation loss still falls at the last of 1 epochs"),
        (None, verdicts.UNFINISHED, "the validation loss still falls at the last of 1 epochs"),
    ],
)
def test_a_training_that_broke_down_fails_and_says_when(tmp_path, monkeypatch, record, word, reason) -> None:
    fit = tmp_path / "round-0/member-0"
    fit.mkdir(parents=True)
    (fit / "history.csv").write_text("epoch,loss,validation_loss,learning_rate,seconds\n1,1.4e13,1.4e13,0.001,2.0\n")
    if record is not None:
        (fit / "training.json").write_text(record)
    table, figure = tmp_path / "losses.csv", tmp_path / "losses.png"
    arguments = ["losses", f"--histories={fit / 'history.csv'}", f"--table={table}", f"--figure={figure}"]
    monkeypatch.setattr(sys, "argv", ["diagnose", *arguments])
    diagnose.main()
    judged = losses.verdict(pd.read_csv(table)).iloc[0]
    assert (judged["parameter"], judged["verdict"], judged["reason"]) == ("round 0, member 0", word, reason)
