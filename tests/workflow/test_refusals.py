"""What cannot be run is told before any job starts, in a word that says what to do."""

from __future__ import annotations

from typing import Any

import pytest
from studies import Workflow, content

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"simulations__per_rounds": 8}, ["simulations.per_rounds: no such key", "did you mean per_round?"]),
        ({"simulations__per_round": "many"}, ["simulations.per_round", "got 'many'", "takes", "integer"]),
        ({"simulations__batch_size": 0}, ["simulations.batch_size", "got 0", "greater than or equal to 1"]),
        ({"network__summary": {"type": "deepset"}}, ["network.summary", "'deepset'", "takes deep_set"]),
        ({"model": "models/none.py"}, ["models/none.py", "`model` takes the path"]),
        ({"model_options": {"size": 3}}, ["model_options do not fit build(scale=1.0)", "size"]),
        ({"observations": {"first": "data/none.txt"}}, ["observations.first", "'data/none.txt'", "file that exists"]),
        ({"study": "a/b"}, ["study: got 'a/b'", "takes a name of letters"]),
    ],
)
def test_a_configuration_that_cannot_be_used(fresh: Workflow, changes: dict[str, Any], words: list[str]) -> None:
    fresh.configure(**changes)
    run = fresh.run()
    assert run.code != 0
    for word in words:
        assert word in run.output
    assert "Traceback" not in run.output
    assert not (fresh.folder / "results").exists()


def test_a_key_that_stands_twice(fresh: Workflow) -> None:
    config = fresh.folder / "config.yaml"
    config.write_text(config.read_text() + "study: other\n")
    run = fresh.run()
    assert run.code != 0
    assert "config.yaml: the key study stands twice in one section" in run.output
    assert not (fresh.folder / "results").exists()


def test_another_batch_size_than_the_stores(study: Workflow) -> None:
    before = content(study.folder / "results", leave_out=())
    study.configure(simulations__batch_size=8)
    run = study.run()
    assert run.code != 0
    assert "got 8" in run.output
    assert "set simulations.batch_size: 4" in run.output
    assert content(study.folder / "results", leave_out=()) == before


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        ("return [rng.normal(), 3.0]", "cinnflow: b is the same in all draws: leave it out of the prior"),
        ("return 1 / np.floor(rng.normal(size=2))", "cinnflow: the prior drew"),
        ("return RNG.normal(size=2)\n\n\nRNG = np.random.default_rng(1)", "the prior drew other parameters from the"),
        ("return rng.norm(size=2)", "cinnflow: the prior failed: AttributeError"),
    ],
)
def test_a_prior_without_a_posterior(fresh: Workflow, draw: str, words: str) -> None:
    fresh.edit(fresh.model, "return rng.normal(size=2)", draw)
    run = fresh.run()
    assert run.code != 0
    assert words in run.output
    assert "Traceback" not in run.output
    assert not run.jobs
    assert not (fresh.folder / "results").exists()


def test_too_many_failures_stop_the_seal(fresh: Workflow) -> None:
    fresh.edit(fresh.model, "return {", 'assert theta[0] < 0, "out of range"\n    return {')
    run = fresh.run(*fresh.manifests)
    assert run.code != 0
    for word in ("test does not seal", "crashed", "out of range", "simulations.max_failed", "cinnflow retry"):
        assert word in run.output
    fresh.configure(simulations__max_failed=1.0)
    assert fresh.succeed(*fresh.manifests) == {"seal": 3}


def test_no_profile_would_run_everything_again(fresh: Workflow) -> None:
    run = fresh.run("--workflow-profile", "none")
    assert run.code != 0
    assert "add --workflow-profile workflow/profiles/default" in run.output
    assert not run.jobs
