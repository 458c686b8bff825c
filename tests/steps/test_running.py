"""Whatever ends a step is told in one line on standard output; standard error, the job's log, has all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def ended(tmp_path, code):
    """What a step that runs some code of a user says, and its log."""
    (tmp_path / "model.py").write_text(f"def draw():\n    {code}\n")
    script = (
        "import sys; sys.path.insert(0, '.'); import model; from cinnflow.steps.shared.running import run_step\n"
        "run_step(model.draw)"
    )
    with (tmp_path / "job.log").open("w") as log:
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert run.returncode == 1
    return run.stdout.strip(), (tmp_path / "job.log").read_text()


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("return undefined", "NameError: name 'undefined' is not defined"),
        ("import json; json.loads('{')", "JSONDecodeError: Expecting property name"),
        ("open('not/there')", "FileNotFoundError: "),
    ],
)
def test_an_error_that_nobody_foresaw_is_told_with_its_place_in_the_users_code(code, what, tmp_path):
    said, log = ended(tmp_path, code)
    assert said.startswith(f"cinnflow: {what}")
    assert "model.py, line 2, in draw)" in said
    assert said.endswith("job.log has more")
    assert "\n" not in said
    assert "Traceback" in log


def test_a_plain_error_is_told_as_it_is(tmp_path):
    said, log = ended(tmp_path, "from cinnflow.errors import PlainError; raise PlainError('mend this')")
    assert said == "cinnflow: mend this"
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("file", "where"),
    [("'/proc/none/file'", "on the file system /proc"), ("None", "in {folder}/results or /elsewhere")],
)
def test_a_full_disk_is_told_by_its_place(tmp_path, monkeypatch, file, where):
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    said, _ = ended(tmp_path, f"raise OSError(28, 'No space left on device', {file})")
    assert f": make room {where.format(folder=tmp_path)} and start snakemake again" in said


def test_of_a_plain_error_the_log_tells_what_in_the_users_code_it_came_from(tmp_path):
    from_a_simulator = (
        "import numpy as np; from cinnflow.training.simulation_ahead import SimulationAhead\n"
        "    def simulate(count, rng): return 1 / 0\n"
        "    next(SimulationAhead(simulate, 0).batches(0, 1, 0, 1, 0))"
    )
    said, log = ended(tmp_path, from_a_simulator)
    assert said.startswith("cinnflow: the simulator failed: ZeroDivisionError")
    assert "\n" not in said
    assert 'model.py", line 3, in simulate' in log
