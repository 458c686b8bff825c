"""Training in the workflow: what it simulates by itself, what a kill costs it, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from killing import Disturbed, wait_until
from studies import OF_DRAWS, OF_OBSERVATION, Workflow

pytestmark = pytest.mark.workflow

FIT = "results/small/fit/member-0/network.keras"
ONLINE = {
    "training": {"regime": "online", "epochs": 6, "iterations_per_epoch": 60, "batch_size": 8, "validation_sims": 64},
    # Its noise is a state that has to survive a kill, as is that of dropout.
    "network__inference": {"num_coupling_layers": 1, "num_dense": 1, "use_soft_flow": True, "dropout_prob": 0.1},
}


@pytest.fixture(scope="module")
def online(project: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The small study, trained on fresh simulations."""
    workflow = project.copy(tmp_path_factory.mktemp("online") / "study")
    workflow.configure(**ONLINE)
    assert workflow.succeed(FIT) == {"train": 1}
    return workflow


def test_a_regime_that_simulates_needs_the_test_split_alone(online: Workflow) -> None:
    everything = Counter([*OF_DRAWS, *OF_OBSERVATION, "draws", "losses", "failures", "report", "seal"])
    assert online.plan() == everything + Counter(simulate=2)
    noted = json.loads((online.folder / FIT).with_name("training.json").read_text())
    assert noted["device"].startswith(("the CPU", "NVIDIA"))
    assert noted["share_left_out"] == 0.0
    assert (online.folder / FIT).with_name("losses.png").stat().st_size > 10_000
    history = pd.read_csv((online.folder / FIT).with_name("history.csv"))
    assert len(history) == 6
    assert history["validation_loss"].notna().all()


def test_another_simulator_means_another_fit(online: Workflow, tmp_path: Path) -> None:
    study = online.copy(tmp_path / "copy")
    assert study.plan(FIT) == {}
    study.edit(study.model, "NOISE = 0.5", "# as before\nNOISE = 0.5")
    assert study.plan(FIT) == {}
    study.edit(study.model, "NOISE = 0.5", "NOISE = 0.6")
    assert study.plan(FIT) == {"train": 1}


def untrained(online: Workflow, folder: Path, from_checkpoint: bool = False) -> tuple[Workflow, bytes]:
    """A copy of the study without its fit, and what the fit was."""
    study = online.copy(folder / "copy")
    fit = study.folder / FIT
    right = fit.read_bytes()
    fit.unlink()
    if not from_checkpoint:
        shutil.rmtree(fit.with_name(".checkpoints"))
    return study, right


def assert_went_on(study: Workflow, right: bytes, epoch: str) -> None:
    """Checks that the latest training went on after an epoch, and ended as an undisturbed one."""
    log = (study.results / "logs/train-member-0.log").read_text()
    assert re.search(f"going on from the checkpoint after epoch {epoch}$", log, re.MULTILINE)
    assert (study.folder / FIT).read_bytes() == right


def test_a_killed_training_goes_on_and_ends_with_the_same_bits(online: Workflow, tmp_path: Path) -> None:
    study, right = untrained(online, tmp_path)
    disturbed = Disturbed(study, 0.002)
    running = study.start(FIT, **disturbed.environment)
    wait_until(lambda: bool(list(study.results.glob("fit/**/*.npz"))), "a checkpoint")
    running.signal(signal.SIGKILL, group=True)
    running.end()
    disturbed.wait_for_no_process()
    assert not (study.folder / FIT).exists()
    assert study.succeed(FIT) == {"train": 1}
    assert_went_on(study, right, "[1-5]")


def test_a_training_whose_end_snakemake_did_not_see_is_not_done_again(online: Workflow, tmp_path: Path) -> None:
    study, right = untrained(online, tmp_path, from_checkpoint=True)
    (study.folder / FIT).parent.joinpath(".saving-of-a-killed-one").mkdir()
    assert study.succeed(FIT) == {"train": 1}
    assert_went_on(study, right, "6")
    assert not list(study.results.rglob(".saving-*"))


def test_a_training_that_outlives_its_snakemake_is_waited_for(online: Workflow, tmp_path: Path) -> None:
    study, right = untrained(online, tmp_path)
    disturbed = Disturbed(study, 0.002)
    first = study.start(FIT, **disturbed.environment)
    wait_until(lambda: bool(list(study.results.glob("fit/**/*.npz"))), "a checkpoint")
    first.signal(signal.SIGKILL)
    first.end()
    (left,) = disturbed.running("train")
    os.kill(left, signal.SIGSTOP)  # it is to be there when the second comes, however slow that is to start
    second = study.start(FIT, **disturbed.environment)
    wait_until(lambda: "is being trained by another process: waiting for it" in second.output, "the second training")
    os.kill(left, signal.SIGCONT)
    assert second.end().code == 0
    assert_went_on(study, right, "6")


def test_an_external_program_is_no_simulator_for_online_training(fresh: Workflow) -> None:
    fresh.edit(fresh.model, "cf.Simulator(simulate)", 'cf.ExternalSimulator(["sh", "-c", "", "{out}"], "x.csv")')
    fresh.configure(**ONLINE)
    run = fresh.run("--dry-run")
    assert run.code != 0
    assert "training.regime: got 'online'" in run.output
    assert "takes rounds or offline" in run.output
