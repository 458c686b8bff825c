"""The captions of Snakemake's report are those of the figures."""

from __future__ import annotations

from pathlib import Path

from cinnflow.report.captions import FOLDER, captions


def test_captions_are_up_to_date() -> None:
    folder = Path(__file__).parents[2] / FOLDER
    written = {path.stem: path.read_text() for path in folder.glob("*.rst")}
    assert written == captions(), "run `python -m cinnflow.report.captions`"
