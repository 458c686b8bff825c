"""Whatever ends a run, and at whatever moment: typing the same command again goes on, and nothing is lost."""

from __future__ import annotations

import itertools
import os
import platform
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from killing import Accounts, Disturbed, leftovers, wait_until
from studies import Workflow, content

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(sys.platform != "linux", reason="stray processes are found in /proc"),
]

KILLS = int(os.environ.get("CINNFLOW_KILLS", "6"))
"""Kills in the random test: a few in the suite, 100 and more by hand."""


@pytest.fixture
def disturbed(fresh: Workflow) -> Disturbed:
    """A fresh study whose simulations take a tenth of a second."""
    return Disturbed(fresh, 0.1)


@pytest.fixture(scope="module")
def undisturbed(project: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The same study, never disturbed."""
    workflow = project.copy(tmp_path_factory.mktemp("undisturbed") / "study")
    workflow.succeed(*workflow.manifests)
    return workflow


def assert_as_undisturbed(study: Workflow, undisturbed: Workflow) -> None:
    (store,), (right,) = study.stores, undisturbed.stores
    assert content(store) == content(right)
    assert not leftovers(study.folder / "results")
    assert study.plan(*study.manifests) == {}


def test_killed_at_random_moments(project: Workflow, tmp_path: Path) -> None:
    budget = {"simulations__per_round": 16 * KILLS, "simulations__test": 32, "simulations__batch_size": 16}
    right, workflow = project.copy(tmp_path / "right"), project.copy(tmp_path / "killed")
    for each in (right, workflow):
        each.configure(**budget)
    right.succeed(*right.manifests)
    study = Disturbed(workflow, 0.1)
    accounts, landed, rng = Accounts(study), Counter[str](), np.random.default_rng(KILLS)
    running = study.start()
    for kind in itertools.islice(itertools.cycle(["group", "batch", "snakemake"]), KILLS):
        if not running.alive:
            running = study.start()
        if kind == "batch" or rng.random() < 0.8:
            study.wait_for_simulations(running)
        time.sleep(rng.uniform(0, 1.5))
        landed[kind] += running.alive
        study.kill(kind, running, rng)
        accounts.look()
    running.end()
    accounts.look()
    study.wait_for_no_process()
    assert study.start().end().code == 0
    study.wait_for_no_process()
    print(f"kills that found a run: {dict(landed)}; {len(study.starts)} starts of {len(set(study.starts))} simulations")
    assert sum(landed.values()) > KILLS / 2
    assert not accounts.started_again()
    # Two batches run at a time, one simulation each: a kill costs two at most.
    assert len(set(study.starts)) == 32 * KILLS + 32
    assert len(study.starts) <= len(set(study.starts)) + 2 * KILLS
    assert_as_undisturbed(workflow, right)


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_interrupted_by_a_person_or_a_scheduler(
    disturbed: Disturbed, undisturbed: Workflow, number: int, group: bool
) -> None:
    accounts = Accounts(disturbed)
    running = disturbed.start()
    wait_until(lambda: accounts.look() > 2, "three finished simulations")
    running.signal(number, group)
    assert running.end().code != 0
    disturbed.wait_for_no_process()
    accounts.look()
    assert disturbed.start().end().code == 0
    assert not accounts.started_again()
    assert_as_undisturbed(disturbed.workflow, undisturbed)


def test_jobs_that_outlive_a_killed_snakemake(disturbed: Disturbed, undisturbed: Workflow) -> None:
    """Nobody tells the next snakemake that their batches were committed."""
    running = disturbed.start()
    disturbed.wait_for_simulations(running)
    running.signal(signal.SIGKILL)
    running.end()
    disturbed.wait_for_no_process()
    assert disturbed.finished()
    assert disturbed.start().end().code == 0
    assert max(Counter(disturbed.starts).values()) == 1
    assert_as_undisturbed(disturbed.workflow, undisturbed)


def test_killed_between_commit_and_exit(disturbed: Disturbed, undisturbed: Workflow) -> None:
    """Snakemake deletes the output of a job that it saw fail; a committed batch must not look like one."""
    study = disturbed.workflow
    step = study.source / "steps/simulate.py"
    committed = "    run_batch(batch, model.generative, args.seed, parts, limits, theta)\n"
    study.edit(step, committed, f"{committed}    import os\n\n    os.kill(os.getpid(), 9)\n")
    disturbed.start().end()
    disturbed.wait_for_no_process()
    assert disturbed.start().end().code == 0
    assert max(Counter(disturbed.starts).values()) == 1
    assert_as_undisturbed(study, undisturbed)


def test_a_job_that_fails_after_its_commit_loses_nothing(study: Workflow) -> None:
    """As all jobs of a group do on a cluster, when one of them or somebody ends it."""
    before = content(study.stores[0], leave_out=())
    record = study.stores[0] / "test/status/c/0"
    study.edit(study.folder / "workflow/rules/simulate.smk", " || test -e {output:q}", "; exit 1")
    run = study.run("--force", str(record.relative_to(study.folder)))
    assert run.code != 0
    assert "a job execution failed" in run.output
    assert content(study.stores[0], leave_out=()) == before
    assert study.plan() == {}


def test_a_record_that_was_taken_back_stays_away_when_its_batch_fails(study: Workflow) -> None:
    """Snakemake keeps copies of records, and a killed snakemake leaves them behind."""
    record = study.stores[0] / "test/status/c/0"
    target = str(record.relative_to(study.folder))
    backup = study.folder / ".snakemake/backups" / target
    backup.parent.mkdir(parents=True, exist_ok=True)
    record.rename(backup)
    study.edit(study.source / "steps/simulate.py", "    run_batch(", "    raise SystemExit(1)\n    run_batch(")
    assert study.run(target).code != 0
    assert not record.exists()


def test_predictive_simulations_of_an_old_posterior_never_count(study: Workflow) -> None:
    study.observation.write_text("1.0 1.0\n")
    step = study.source / "steps/predict.py"
    study.edit(step, "    run_batch(", "    raise SystemExit(1)\n    run_batch(")
    assert study.run().code != 0
    study.edit(step, "    raise SystemExit(1)\n", "")
    assert study.plan("results/small/observations/first/predictive.csv") == {"predict": 1, "predictive": 1}


def test_two_runs_at_once(disturbed: Disturbed, undisturbed: Workflow) -> None:
    first = disturbed.start()
    disturbed.wait_for_simulations(first)
    first.signal(signal.SIGSTOP)  # it is to outlast the second, however slow that is to start
    assert disturbed.workflow.plan(), "a dry run works while a run is on"
    second = disturbed.start().end()
    assert first.alive
    first.signal(signal.SIGCONT)
    assert second.code != 0
    assert not second.jobs
    assert f'"process": {first.pid}' in second.output
    assert f'"host": "{platform.node()}"' in second.output
    assert first.end().code == 0
    assert max(Counter(disturbed.starts).values()) == 1
    assert_as_undisturbed(disturbed.workflow, undisturbed)


def test_two_studies_at_once_share_what_they_simulate(disturbed: Disturbed, undisturbed: Workflow) -> None:
    other = disturbed.workflow.configure("other.yaml", study="other")
    manifests = [name.replace("small", "other") for name in disturbed.workflow.manifests]
    first, second = (
        disturbed.start(),
        disturbed.workflow.start("--configfile", other, "--", *manifests, **disturbed.environment),
    )
    assert first.end().code == 0
    assert second.end().code == 0
    assert max(Counter(disturbed.starts).values()) == 1
    assert_as_undisturbed(disturbed.workflow, undisturbed)


def test_the_model_is_edited_while_jobs_run(disturbed: Disturbed, undisturbed: Workflow) -> None:
    study = disturbed.workflow
    running = disturbed.start()
    disturbed.wait_for_simulations(running)
    study.edit(study.model, "NOISE = 0.5", "NOISE = 0.6")
    run = running.end()
    assert run.code != 0
    assert "it was edited while jobs ran. Start snakemake again" in run.output
    assert len(study.stores) == 1
    study.edit(study.model, "NOISE = 0.6", "NOISE = 0.5")
    assert disturbed.start().end().code == 0
    assert max(Counter(disturbed.starts).values()) == 1
    assert_as_undisturbed(study, undisturbed)


def test_killed_while_it_trains_and_while_it_diagnoses(study: Workflow, finished: Workflow) -> None:
    disturbed = Disturbed(study, 0.0)
    (study.results / "fit/round-1/member-0/network.keras").unlink()
    for step in ("train", "diagnose"):
        running = study.start(**disturbed.environment)
        wait_until(lambda step=step: bool(disturbed.running(step)), f"a job of step {step}")
        assert running.alive
        running.signal(signal.SIGKILL, group=True)
        running.end()
        disturbed.wait_for_no_process()
    study.succeed()
    assert study.plan() == {}
    for table in (finished.results / "diagnostics").glob("*.csv"):
        if table.stem not in ("losses", "summary"):
            assert (study.results / "diagnostics" / table.name).read_text() == table.read_text()
