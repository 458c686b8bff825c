"""A model that fails in half of its parameter space: all that follows is conditioned alike, and the report says so."""

from __future__ import annotations

import json
import re

import arviz
import pandas as pd
import pytest
from studies import Workflow

from cinnflow.inference.draws import read_draws

pytestmark = pytest.mark.workflow


def test_training_and_calibration_condition_alike_and_the_report_says_so(fresh: Workflow) -> None:
    fresh.edit(fresh.model, "    starts =", '    if theta[0] > 0:\n        raise ValueError("no such a")\n    starts =')
    fresh.observation.write_text("-0.3 -0.2\n-0.5 0.1\n-1.0 0.4\n")  # three data sets
    fresh.configure(
        simulations={"rounds": 1, "per_round": 48, "batch_size": 48, "test": 48, "max_failed": 0.7},
        posterior={"draws": 20, "draws_in_all": 45, "predictive": 20},
    )
    jobs = fresh.succeed()
    assert jobs["report"] == 1

    posterior = arviz.from_netcdf(fresh.results / "observations/first/posterior.nc")
    test = read_draws(fresh.results / "draws/test.zarr")
    counts = [
        json.loads((fresh.results / f"manifest/{split}.json").read_text())["counts"] for split in ("round-0", "test")
    ]
    # What the network was trained on is the prior of every comparison; what calibration uses is cut in the same place.
    assert posterior.prior["a"].size == counts[0]["ok"]
    assert len(test.truths) == counts[1]["ok"]
    assert float(posterior.prior["a"].max()) <= 0
    assert test.truths[:, 0].max() <= 0

    failures = pd.read_csv(fresh.results / "diagnostics/failures.csv")
    of_a = failures[failures["parameter"] == "a"]
    assert of_a.loc[of_a["right"] <= 0, "failed"].sum() == 0
    summary = pd.read_csv(fresh.results / "diagnostics/summary.csv").set_index("parameter")
    assert summary["failures_verdict"].to_dict() == {"a": "uneven", "b": "pass"}
    report = text(fresh)
    share = 100 * (1 - sum(count["ok"] for count in counts) / 96)
    assert f"{share:.2g} % of all simulations failed. They stay in the store" in report
    assert f"{counts[0]['crashed']} crashed" in report
    assert "failures of 96 depend on it" in report

    # One of three data sets stands for all of them in figures, and each has its own row.
    assert posterior.posterior["a"].sizes == {"chain": 1, "draw": 20, "data_set": 3}
    assert posterior.posterior_predictive["x"].sizes["data_set"] == 1
    assert "the first of 3 data sets" in report

    # A record that is lost costs the report its line, and nothing else.
    (fresh.results / "manifest/provenance.json").unlink()
    training = next(fresh.results.glob("fit/**/history.csv")).parent / "training.json"
    training.write_text(json.dumps({"device": "an abacus", "seconds": 1.0}))
    assert fresh.succeed("--forcerun", "report") == {"report": 1}
    assert "provenance.json is gone or damaged" in text(fresh)
    assert "an abacus" in text(fresh)


def text(study: Workflow) -> str:
    """What the report says, without marks and figures."""
    return " ".join(re.sub(r"<[^>]*>", " ", (study.results / "report.html").read_text()).split())
