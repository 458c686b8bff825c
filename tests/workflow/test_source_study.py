"""A study of simulations made elsewhere: the real snakemake, and what reruns."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
from studies import OF_DRAWS, Workflow, content

pytestmark = pytest.mark.workflow

SEALED = {"import_source": 1, "seal": 2}
AFTER_SEAL = Counter(
    [*OF_DRAWS, "train", "draws", "infer", "posterior", "pairs", "misspecification", "losses", "failures", "report"]
)


def save(study: Workflow, offset: float = 0.0) -> None:
    """The file of simulations: of 37 rows one is not finite."""
    rng = np.random.default_rng(1)
    theta = rng.normal(size=(37, 2))
    x = theta + 0.5 * rng.normal(size=(37, 2)) + offset
    x[5] = np.nan
    np.savez(study.folder / "data/sims.npz", theta=theta, x=x, names=np.array(["a", "b"]))


def configure(study: Workflow, **changes: object) -> None:
    simulations = {"source": "data/sims.npz", "test": 9, "batch_size": 8}
    settings = {"model": None, "simulations": simulations, "observations": {"first": "data/first.csv"}} | changes
    study.configure(**settings)


@pytest.fixture(scope="module")
def imported(project: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The study, sealed."""
    study = project.copy(tmp_path_factory.mktemp("source") / "study")
    (study.folder / "data/first.csv").write_text("0.3,-0.2\n")
    save(study)
    configure(study)
    study.model.unlink()
    assert study.succeed("results/small/manifest/round-0.json", "results/small/manifest/test.json") == SEALED
    return study


@pytest.fixture
def study(imported: Workflow, tmp_path) -> Workflow:
    return imported.copy(tmp_path / "copy")


def test_it_runs_to_its_report(study: Workflow) -> None:
    assert study.succeed() == AFTER_SEAL
    assert study.plan() == {}
    text = (study.results / "report.html").read_text()
    for words in ("data/sims.npz", "about a, b?", "1 not finite", "No predictive check"):
        assert words in text
    assert not (study.results / "observations/first/predictive.png").exists()
    # The seed is that of training: no simulation depends on it.
    configure(study, seed=7)
    assert study.plan() == AFTER_SEAL - Counter(["failures"])


def test_a_touched_file_is_the_same_and_changed_bytes_are_another_store(study: Workflow) -> None:
    before = content(study.stores[0])
    os.utime(study.folder / "data/sims.npz")
    assert study.plan(*study_manifests(study)) == {}
    save(study, offset=1.0)
    assert study.succeed(*study_manifests(study)) == SEALED
    assert len(study.stores) == 2
    assert content(study.stores[0]) == before
    configure(study, simulations={"source": "data/sims.npz", "test": 10, "batch_size": 8})
    assert study.plan(*study_manifests(study)) == SEALED


def test_a_batch_that_is_lost_is_imported_again_alone(study: Workflow) -> None:
    before = content(study.stores[0])
    (study.stores[0] / "round-0/status/c/2").unlink()
    run = study.run(str((study.stores[0] / "round-0/status/c/2").relative_to(study.folder)))
    assert run.jobs == {"import_source": 1}
    assert "round-0: 8 simulations imported, 0 of them not finite" in run.output
    assert content(study.stores[0]) == before
    assert study.plan(*study_manifests(study)) == {}


def test_what_cannot_be_imported_is_told_before_any_job_starts(study: Workflow) -> None:
    before = content(study.folder / "results")
    for simulations, words in (
        ({"source": "data/none.h5"}, "got 'data/none.h5'; takes the path of a file that exists"),
        ({"source": "data/sims.npz", "test": 37}, "that leaves none to train on"),
        ({"source": "data/sims.npz", "test": 9, "batch_size": 4}, "set simulations.batch_size: 8"),
    ):
        configure(study, simulations=simulations)
        run = study.run()
        assert run.code != 0
        assert words in run.output
        assert "Traceback" not in run.output
        assert not run.jobs
    assert content(study.folder / "results") == before


def study_manifests(study: Workflow) -> list[str]:
    return [f"{study.results.relative_to(study.folder)}/manifest/{split}.json" for split in ("round-0", "test")]
