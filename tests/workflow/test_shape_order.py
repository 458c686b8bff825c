"""Whichever batch ends first, what a study seals in the end has the shape that most of its simulations have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from studies import Workflow, content

from cinnflow.plan import Plan
from cinnflow.simulation.seeds import simulation_seed

pytestmark = pytest.mark.workflow

MANIFEST = "results/small/manifest/round-0.json"


def test_no_order_of_batches_decides_what_is_sealed(fresh: Workflow, tmp_path: Path) -> None:
    fresh.configure(simulations={"rounds": 1, "per_round": 12, "batch_size": 4, "test": 4, "max_failed": 0.9})
    plan = plan_of(fresh)
    odd = [float(plan.model.generative.draw(simulation_seed(plan.study.seed, "round-0", i))[0]) for i in range(4)]
    fresh.edit(fresh.model, "return {", f"if theta[0] in {odd}:\n        return {{'x': np.zeros(3)}}\n    return {{")
    store = f"results/simulations/{plan_of(fresh).store.name}.zarr"

    usual_first = fresh.copy(tmp_path / "usual first")
    usual_first.succeed(f"{store}/round-0/status/c/1")
    usual_first.succeed(MANIFEST)

    starts = tmp_path / "starts"
    fresh.succeed(f"{store}/round-0/status/c/0", STARTS=str(starts))
    refused = fresh.run(MANIFEST, STARTS=str(starts))
    assert refused.code != 0
    assert "8 simulations in" in refused.output
    assert "cinnflow retry --reason unreadable" in refused.output
    command = [sys.executable, "-m", "cinnflow.cli", "retry", "--reason", "unreadable"]
    assert "8 simulations give x (2,)" in subprocess.check_output(command, cwd=fresh.folder, text=True)
    assert fresh.succeed(MANIFEST, STARTS=str(starts)) == {"simulate": 3, "seal": 1}
    assert len(starts.read_text().splitlines()) == 12  # each simulation has run once
    assert (fresh.folder / MANIFEST).read_text() == (usual_first.folder / MANIFEST).read_text()
    assert content(fresh.folder / store) == content(usual_first.folder / store)


def plan_of(study: Workflow) -> Plan:
    """The plan of a study in another folder than the one of this process."""
    config = yaml.safe_load((study.folder / "config.yaml").read_text())
    return Plan.of({**config, "model": str(study.model), "observations": {}})
