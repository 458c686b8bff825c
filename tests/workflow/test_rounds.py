"""Rounds that depend on the fits before them: truncated proposals, and a rule that says when they stop."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from studies import PROJECT, Workflow, content

pytestmark = pytest.mark.workflow

FITS = [f"results/small/fit/round-{number}/member-0/network.keras" for number in range(2)]
TARGETS = ["results/small/manifest/test.json", *FITS]
CHAINED: dict[str, Any] = {
    "simulations__proposal": "truncated",
    "simulations__observation": "first",
    "simulations__rounds": {"max": 3, "stop_below": 1000.0},  # no round gains that much
}
LATER = Counter(truncate=1, propose=1, simulate=2, seal=2, train=1, assess=1)
"""What depends on the fit to round 0; the test split follows where it is decided that round 1 is the last one."""
TEST = Counter(propose=1, simulate=2)


@pytest.fixture(scope="module")
def chained(project: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The small study with truncated proposals, up to its last fit and the test split."""
    workflow = project.copy(tmp_path_factory.mktemp("chained") / "study")
    workflow.configure(**CHAINED)
    assert workflow.succeed(*TARGETS) == Counter(simulate=2, seal=1, train=1) + LATER + TEST
    return workflow


@pytest.fixture
def study(chained: Workflow, tmp_path: Path) -> Workflow:
    return chained.copy(tmp_path / "copy")


def folder(study: Workflow, split: str) -> Path:
    """The store that a split stands in."""
    (status,) = (study.folder / "results/simulations").glob(f"*.zarr/{split}/status")
    return status.parent.parent


def status(study: Workflow) -> str:
    """What `cinnflow status` says."""
    command = [sys.executable, "-m", "cinnflow.cli", "status"]
    environment = {"PYTHONPATH": str(PROJECT / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=study.folder, env=environment, check=True, capture_output=True, text=True).stdout


def test_each_round_has_a_store_and_nothing_runs_again(study: Workflow) -> None:
    assert len(study.stores) == 2
    assert folder(study, "round-0") != folder(study, "round-1") == folder(study, "test")
    assert study.plan(*TARGETS) == {}
    for name in ("round-0 │     2/2", "round-1 │     2/2", "test    │     2/2"):
        assert name in status(study)


def test_what_shapes_the_fit_runs_the_later_rounds_anew_and_the_command_says_so(study: Workflow) -> None:
    study.configure(**CHAINED, training__epochs=2)
    assert study.plan(*TARGETS) == LATER + Counter(train=1)
    run = study.run(FITS[0])
    assert run.jobs == {"train": 1}
    for text in (run.output, status(study)):
        assert "proposal: training changed" in text
        assert "round-1 is simulated into a new store; the old one stays" in text
    study.configure(**CHAINED)
    assert not {"simulate", "truncate", "propose"} & set(study.plan(*TARGETS)), "going back finds the old rounds"


def test_another_observation_runs_the_later_rounds_anew(study: Workflow) -> None:
    study.observation.write_text("0.4 -0.2\n")
    assert study.plan(*TARGETS) == LATER
    study.observation.write_text("0.3 -0.2\n")
    assert study.plan(*TARGETS) == {}


def test_what_does_not_shape_the_fit_runs_no_round_anew(study: Workflow) -> None:
    study.configure(**CHAINED, simulations__test=12)
    assert study.plan(*TARGETS) == Counter(propose=1, simulate=1, seal=1)
    study.configure(**CHAINED, simulations__per_round=12)
    assert study.plan(*TARGETS) == Counter(simulate=2, propose=1, seal=3, train=2, assess=1)
    study.configure(**CHAINED, study="other")
    others = [target.replace("/small/", "/other/") for target in TARGETS]
    assert study.plan(*others) == Counter(seal=3, train=2, assess=1)
    study.configure(**CHAINED)
    (study.folder / FITS[0]).unlink()
    assert not {"simulate", "truncate", "propose"} & set(study.plan(*TARGETS))


def test_a_lost_batch_runs_again_with_the_same_parameters(study: Workflow) -> None:
    first = folder(study, "round-1")
    before = content(first)
    record = first / "round-1/status/c/1"
    record.unlink()
    assert study.succeed(str(record.relative_to(study.folder)), *TARGETS) == {"simulate": 1}
    assert content(first) == before


def test_a_region_waits_for_a_batch_that_was_taken_back(study: Workflow) -> None:
    study.observation.write_text("0.4 -0.2\n")
    (folder(study, "round-0") / "round-0/status/c/1").unlink()
    assert study.succeed(FITS[1]) == Counter(simulate=3, truncate=1, propose=1, seal=1, train=1)


def test_a_round_that_gains_enough_is_followed_by_another(study: Workflow) -> None:
    noted = (study.folder / FITS[1]).with_name("training.json")
    about = json.loads(noted.read_text())
    noted.write_text(json.dumps(about | {"gain": {"nats_per_parameter": 0.5, "standard_error": 0.1}}))
    study.configure(**CHAINED | {"simulations__rounds": {"max": 3, "stop_below": 0.4}})
    assert study.plan(*TARGETS) == Counter(assess=1, seal=1)
    run = study.run("results/small/fit/round-1/gain.json")
    assert run.jobs == {"assess": 1}
    assert "gained 0.5000 nats per parameter over the round before, so another one follows" in run.output
    # The test split moves on into the new round's store; that round's own batches are left to its fit.
    assert study.plan("results/small/manifest/test.json") == Counter(truncate=1, propose=1, simulate=2, seal=1)
    following = Counter(truncate=1, propose=1, simulate=2, seal=1, train=1)
    assert study.plan("results/small/fit/round-2/member-0/network.keras") == following


def test_a_rounds_gain_is_that_of_the_members_there_are(fresh: Workflow) -> None:
    rounds = {"simulations__rounds": {"max": 3, "stop_below": 1000.0}}
    gain = "results/small/fit/round-1/gain.json"
    fresh.configure(**rounds)
    assert fresh.succeed(gain) == Counter(simulate=4, seal=2, train=2, assess=1)
    for number in range(2):  # with its times, so that the second member is older than the gain too
        member = fresh.results / f"fit/round-{number}/member-0"
        shutil.copytree(member, member.with_name("member-1"))
    fresh.configure(**rounds, training__ensemble=2)
    assert fresh.succeed(gain) == {"assess": 1}
    fresh.configure(**rounds)
    assert fresh.plan(gain) == {"assess": 1}


def test_the_batches_of_different_rounds_share_no_job_of_a_cluster(fresh: Workflow) -> None:
    fresh.configure(**CHAINED)
    planned = fresh.plan("--workflow-profile", "workflow/profiles/slurm", *TARGETS)
    assert planned == Counter(simulate=2, seal=1, train=1) + LATER


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"simulations__observation": "nobody"}, "simulations.observation: got 'nobody'; takes a name of"),
        ({"training": {"regime": "offline"}}, "the regime rounds beside this simulations.proposal"),
    ],
)
def test_what_cannot_be_truncated_is_refused(fresh: Workflow, changes: dict[str, Any], says: str) -> None:
    fresh.configure(**CHAINED | changes)
    run = fresh.run("--dry-run")
    assert run.code != 0
    assert says in run.output
