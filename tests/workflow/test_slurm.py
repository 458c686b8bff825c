"""A study on a real Slurm, through its profile as it stands: whatever is ended there, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import Accounts, Disturbed, leftovers, wait_until
from studies import Running, Workflow, content

pytestmark = [pytest.mark.workflow, pytest.mark.slurm, pytest.mark.usefixtures("node")]

NODE = Path(__file__).parent / "slurm_node.sh"
PROFILE = ["--workflow-profile", "workflow/profiles/slurm"]
# Small groups, as many at a time as there are cores; and Slurm is asked more often than is good for a cluster.
SMALL = ["--group-components", "simulate=3", "--slurm-init-seconds-before-status-checks", "1"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Slurm whose one node is this machine."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([NODE, "start", folder], capture_output=True, text=True)
    if started.returncode:
        pytest.skip(started.stderr.strip().splitlines()[-1])
    yield
    subprocess.run([NODE, "stop", folder], check=True)


@pytest.fixture(scope="module")
def undisturbed(project: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A study of ten batches, run on this machine alone."""
    workflow = project.copy(tmp_path_factory.mktemp("undisturbed") / "study")
    workflow.configure(simulations__per_round=16)
    workflow.succeed(*workflow.manifests)
    return workflow


def jobs(states: str, about: str = "jobid") -> list[str]:
    """Slurm's jobs in some states: their numbers, or something else about them."""
    command = ["squeue", "--noheader", f"--states={states}", f"--Format={about}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def records(study: Disturbed) -> set[Path]:
    """Commit records that are in the store."""
    return set((study.workflow.folder / "results/simulations").glob("*.zarr/*/status/c/*"))


@pytest.fixture
def study(project: Workflow, tmp_path: Path) -> Iterator[Disturbed]:
    """The same study before anything has run; its simulations take 0.3 s."""
    workflow = project.copy(tmp_path / "study")
    workflow.configure(simulations__per_round=16)
    disturbed = Disturbed(workflow, 0.3)
    yield disturbed
    for process in disturbed.processes():  # where the test has failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def start(study: Disturbed) -> Running:
    """Starts a snakemake that submits what goes before training."""
    return study.start(*PROFILE, *SMALL)


def test_whatever_is_ended_midway(study: Disturbed, undisturbed: Workflow) -> None:
    accounts = Accounts(study)
    driver = start(study)

    def midway() -> bool:
        assert driver.alive, driver.end().output
        return bool(study.running("simulate")) and bool(records(study))

    # Groups that have committed some of their batches and are at the others.
    wait_until(midway, "a batch after one that is committed")
    cancelled, submitted = jobs("RUNNING"), jobs("all")
    assert set(jobs("all", "numcpus")) == {"1"}, "the batches of a group run in turn"
    committed = records(study)
    accounts.look()
    subprocess.run(["scancel", *cancelled], check=True)

    # The snakemake that sees them fail submits them again.
    wait_until(lambda: set(jobs("all")) > set(submitted), "another submission")
    assert records(study) >= committed
    wait_until(midway, "a batch that runs")
    os.kill(study.running("simulate")[0], signal.SIGKILL)
    finished = accounts.look()

    wait_until(lambda: accounts.look() > finished + 2, "other simulations")
    driver.signal(signal.SIGKILL)
    driver.end()
    accounts.look()
    assert jobs("RUNNING,PENDING"), "no job has outlived its snakemake"
    run = start(study).end()
    assert run.code == 0, run.output

    wait_until(lambda: not jobs("RUNNING,PENDING,COMPLETING"), "the end of all jobs")
    study.wait_for_no_process()
    assert not accounts.started_again()
    assert len(set(study.starts)) == 40
    assert len(study.starts) <= 40 + len(cancelled) + 1
    (store,), (right,) = study.workflow.stores, undisturbed.stores
    assert content(store) == content(right)
    assert not leftovers(study.workflow.folder / "results")
    assert study.workflow.plan(*study.workflow.manifests) == {}


def test_training_runs_where_there_is_a_gpu(undisturbed: Workflow, tmp_path: Path) -> None:
    study = undisturbed.copy(tmp_path / "study")
    before = set(jobs("all"))
    assert study.succeed(*PROFILE, *SMALL[2:], "results/small/fit/round-0/member-0/network.keras") == {"train": 1}
    (job,) = set(jobs("all")) - before
    shown = subprocess.run(["scontrol", "show", "job", job], check=True, capture_output=True, text=True).stdout
    assert "TresPerJob=gres:gpu:1" in shown
    assert "Partition=tests" in shown
