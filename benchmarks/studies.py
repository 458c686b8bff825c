"""A study of its own folder for a benchmark, the commands that run in it, and the tables that come out."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Args:
        wall: seconds on the clock.
        cpu: seconds of user and system time of the command and all its descendants; no load on the machine changes it.
    """

    wall: float
    cpu: float


def make_study(folder: Path, model: str, **config: Any) -> Path:
    """A copy of the project with one study in it.

    Args:
        folder: where it goes.
        model: the text of its model file.
        config: its configuration.
    """
    for name in ("workflow", "src"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "Snakefile", folder)
    (folder / "profiles").symlink_to("workflow/profiles")
    (folder / "model.py").write_text(model)
    (folder / "config.yaml").write_text(yaml.safe_dump({"study": "benchmark", "model": "model.py", **config}))
    return folder


def run(folder: Path, command: Sequence[str], stdin: str = "") -> tuple[Cost, str]:
    """Runs a command, which must succeed: its cost, and what it said."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(
        command, cwd=folder, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stdout}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), ended.stdout


def snakemake(folder: Path, *arguments: str) -> tuple[Cost, str]:
    """Runs snakemake in a study's folder."""
    return run(folder, [sys.executable, "-m", "snakemake", *arguments])


def show(title: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints a Markdown table, with the command that made it and the machine."""
    rows = list(rows)
    print(f"\n{title}\n")
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load at the end {os.getloadavg()[0]:.1f}"
    print(f"\n`python {' '.join(sys.argv)}`, {machine}\n")


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
