"""Captions for Snakemake's own report, from the diagnostics' modules: `python -m cinnflow.report.captions`."""

from __future__ import annotations

import importlib
import textwrap
from pathlib import Path

from cinnflow.diagnostics import predictive
from cinnflow.report.report import SECTIONS

FOLDER = Path("workflow/report")
OF_OBSERVATIONS = ("pairs", "predictive", "misspecification", "sensitivity")


def captions() -> dict[str, str]:
    """What workflow/report/<name>.rst holds, by name."""
    names = [*(name for section in SECTIONS.values() for name in section), *OF_OBSERVATIONS]
    texts = {name: importlib.import_module(f"cinnflow.diagnostics.{name}").CAPTION for name in names}
    texts["prior_predictive"] = predictive.PRIOR_CAPTION
    texts["report"] = "The whole study on one page, which opens offline."
    return {name: textwrap.fill(text, 100) + "\n" for name, text in texts.items()}


if __name__ == "__main__":
    for name, text in captions().items():
        (FOLDER / f"{name}.rst").write_text(text)
