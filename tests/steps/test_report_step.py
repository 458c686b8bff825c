"""What the report's step reads beside tables: records that may be gone or damaged."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from cinnflow.steps.report import _about_source, _training


@pytest.mark.parametrize(
    ("record", "device", "warns"),
    [
        ('{"device": "an abacus"}', "an abacus", False),
        ("{}", None, False),
        (None, None, False),
        ('{"device": "an aba', None, True),
        ("[1]", None, True),
        ("", None, True),
    ],
)
def test_a_record_of_training_that_is_gone_or_damaged_costs_its_line_alone(tmp_path, caplog, record, device, warns):
    (tmp_path / "history.csv").write_text("epoch,seconds\n1,2.5\n2,3.5\n")
    if record is not None:
        (tmp_path / "training.json").write_text(record)
    with caplog.at_level(logging.WARNING):
        assert _training(tmp_path / "history.csv") == {"seconds": 6.0, "device": device}
    assert ("training.json cannot be read" in caplog.text) == warns


@pytest.mark.parametrize(
    ("parameters", "named"),
    [(2, "p0, p1?"), (5, "p0, p1, p2, p3, p4?"), (30, "p0, p1, p2, p3 and 26 more parameters?")],
)
def test_the_question_names_a_few_parameters(parameters, named):
    names = [f"p{number}" for number in range(parameters)]
    source = SimpleNamespace(names=names, data={"x": (3,)}, simulations=10, path=Path("sims.npz"))
    study = SimpleNamespace(study="table", simulations=SimpleNamespace(test=2))
    assert f"What do the observations say about {named}" in _about_source(SimpleNamespace(study=study, source=source))
