"""What reruns after which change: the real snakemake, its jobs counted by rule."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter

import arviz
import numpy as np
import pandas as pd
import pytest
from studies import OF_DRAWS, OF_OBSERVATION, Workflow, content

from cinnflow.diagnostics import predictive
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import read_description
from cinnflow.store.layout import Batch, Store

pytestmark = pytest.mark.workflow

AFTER_DRAWS = Counter([*OF_DRAWS, "draws", "misspecification", "report"])
AFTER_OBSERVATION = Counter([*OF_OBSERVATION, "report"])
AFTER_FIT = AFTER_DRAWS | AFTER_OBSERVATION
"""What a new fit makes stale, beside the losses."""
AFTER_TRAINING = AFTER_FIT | Counter(["losses"])
AFTER_SEAL = AFTER_TRAINING | Counter(["failures"])


def test_a_finished_study_has_every_result(finished: Workflow) -> None:
    assert finished.plan() == {}
    for name in ("diagnostics/sbc.csv", "diagnostics/sbc.png", "diagnostics/summary.csv", "report.html"):
        assert (finished.results / name).stat().st_size
    figures = [f"{name}.png" for name in ("pairs", "predictive", "prior_predictive", "misspecification", "sensitivity")]
    for name in ("summary.csv", *figures):
        assert (finished.results / "observations/first" / name).stat().st_size
    posterior = arviz.from_netcdf(finished.results / "observations/first/posterior.nc")
    assert set(posterior.groups()) == {
        "posterior",
        "posterior_predictive",
        "prior",
        "prior_predictive",
        "observed_data",
    }
    # Of four predictive simulations two show all of the posterior, and two decide whether the observation is like them.
    assert posterior.posterior_predictive["x"].shape == (1, 2, 2)
    assert posterior.posterior_predictive["draw"].to_numpy().tolist() == [0, 13]
    (store,) = (finished.results / "observations/first").glob("predictive-*.zarr")
    batch = decode_batch(Batch(Store(store), "predictive-first", 0, 4), read_description(Store(store)))
    draws = np.stack([posterior.posterior[name][0] for name in ("a", "b")], axis=-1)
    np.testing.assert_array_equal(batch["theta"], draws[[0, 0, 13, 0]])
    simulated, repeated = batch["data/x"][::2], batch["data/x"][1::2]
    table = predictive.compute({"x": simulated}, {"x": posterior.observed_data["x"].to_numpy()}, {"x": repeated})
    written = pd.read_csv(finished.results / "observations/first/predictive.csv")
    pd.testing.assert_frame_equal(written[table.columns], table, check_dtype=False)


def test_nothing_reruns_in_a_moved_project_whose_file_times_are_reversed(study: Workflow) -> None:
    """In the worst order: what was made first is now the newest."""
    files = [path for path in study.folder.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    now = time.time()
    ages = {path: path.stat().st_mtime for path in files}
    oldest = min(ages.values())
    for path, modified in ages.items():
        os.utime(path, (now, now - (modified - oldest)))
    assert study.plan() == {}


def test_nothing_reruns_for_comments_docstrings_and_formatting_of_the_model(study: Workflow) -> None:
    study.edit(study.model, "NOISE = 0.5", "# half\nNOISE = (\n    0.5\n)")
    study.edit(study.model, "def draw(rng):", 'def draw(rng):\n    """Two normal numbers."""\n')
    assert study.plan() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"simulations__threads": 2, "simulations__timeout": 60, "simulations__attempts": 3},
        {"simulations__keep_failed": 5},
    ],
)
def test_nothing_reruns_for_how_simulations_are_run(study: Workflow, changes: dict) -> None:
    study.configure(**changes)
    assert study.plan("--cores", "7") == {}


def test_a_model_folder_of_another_name_finds_its_simulations(study: Workflow) -> None:
    study.model.parent.rename(study.model.parent.with_name("renamed"))
    study.configure(model="models/renamed/model.py")
    assert study.plan() == {"report": 1}, "which shows the configuration"
    study.configure(model="models/renamed/model.py", simulations__test=12)
    assert study.succeed("results/small/manifest/test.json") == {"simulate": 1, "seal": 1}
    assert len(study.stores) == 1


@pytest.mark.parametrize("change", ["code", "options", "seed"])
def test_other_simulations_go_into_a_new_store_and_going_back_finds_the_old_one(study: Workflow, change: str) -> None:
    before = content(study.stores[0], leave_out=())
    if change == "code":
        study.edit(study.model, "NOISE = 0.5", "NOISE = 0.6")
    else:
        study.configure(**{"model_options": {"scale": 2.0}} if change == "options" else {"seed": 7})
    assert study.plan() == AFTER_SEAL + Counter(simulate=6, seal=3, train=2)
    if change != "code":
        return
    assert study.succeed(*study.manifests) == {"simulate": 6, "seal": 3}
    assert len(study.stores) == 2
    assert content(study.stores[0], leave_out=()) == before
    study.edit(study.model, "NOISE = 0.6", "NOISE = 0.5")
    assert study.plan()["simulate"] == 0
    assert study.succeed(*study.manifests) == {"seal": 3}
    assert study.plan() == {}, "the manifests are those of the old store again, byte for byte"


def test_another_round_runs_its_own_batches_and_one_more_fit(study: Workflow) -> None:
    study.configure(simulations__rounds=3)
    assert study.plan() == AFTER_SEAL + Counter(simulate=2, seal=1, train=1)


def test_larger_rounds_run_the_additional_batches(study: Workflow) -> None:
    before = content(study.stores[0], leave_out=())
    study.configure(simulations__per_round=10)  # becomes 12, three batches of four
    # The manifest of the test split is as it was, so draws and diagnostics run for the new fit alone.
    assert study.plan() == AFTER_SEAL + Counter(simulate=2, seal=2, train=2)
    run = study.run(*study.manifests)
    assert run.jobs == {"simulate": 2, "seal": 2}
    assert "simulations.per_round: 10 is rounded up to 12, whole batches of 4" in run.output
    after = content(study.stores[0], leave_out=())
    assert {path: after[path] for path in before if "/c/" in path} == {
        path: chunk for path, chunk in before.items() if "/c/" in path
    }
    assert study.plan(*study.manifests) == {}


def test_a_larger_test_split_trains_nothing(study: Workflow) -> None:
    study.configure(simulations__test=16)
    assert study.plan() == AFTER_DRAWS + Counter(simulate=2, seal=1, failures=1)


@pytest.mark.parametrize("changes", [{"network__inference__num_coupling_layers": 3}, {"training__epochs": 2}])
def test_network_and_training_simulate_nothing(study: Workflow, changes: dict) -> None:
    study.configure(**changes)
    assert study.plan() == AFTER_TRAINING + Counter(train=2)


def test_a_summary_network_of_the_model_file_is_trained_loaded_and_rerun_for_its_code(study: Workflow) -> None:
    own = """

import keras


class Halves(keras.layers.Layer):
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(units, use_bias=True)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=1) / 2)
"""
    study.model.write_text(study.model.read_text() + own)
    assert study.plan() == {}
    study.configure(simulations__rounds=1, network__summary={"type": "Halves", "units": 3})
    draws = "results/small/observations/first/draws.nc"
    assert study.succeed(draws) == {"train": 1, "infer": 1}
    study.edit(study.model, "/ 2)", "/ 3)")
    assert study.plan(draws) == {"train": 1, "infer": 1}


def test_braces_in_settings_are_text(study: Workflow) -> None:
    study.edit(study.model, "def build(scale=1.0):", 'def build(scale=1.0, template=""):')
    note = "{m} and {seed}"
    study.configure(model_options={"template": note}, network__summary={"type": "Own", "note": note})
    study.model.write_text(study.model.read_text() + "\n\nclass Own:\n    def __init__(self, note=''):\n        pass\n")
    assert study.succeed("results/small/manifest/test.json") == {"simulate": 2, "seal": 1}
    assert study.plan()["report"] == 1


def test_results_never_come_from_the_fit_of_another_setting(study: Workflow) -> None:
    """The fit that counts with one round alone is older than the draws from the fit to both."""
    study.configure(simulations__rounds=1)
    assert study.plan() == AFTER_SEAL


def test_another_study_shares_the_simulations(study: Workflow) -> None:
    budgets = {"simulations__rounds": 1, "simulations__per_round": 12, "simulations__test": 4}
    other = study.configure("other.yaml", study="other", **budgets)
    manifests = [f"results/other/manifest/{split}.json" for split in ("round-0", "test")]
    assert study.succeed("--configfile", other, "--", *manifests) == {"simulate": 1, "seal": 2}
    assert len(study.stores) == 1
    assert study.plan() == {}


def test_settings_of_one_diagnostic(study: Workflow) -> None:
    study.configure(diagnostics__sbc={"bins": 4})
    assert study.plan() == {"sbc": 1, "report": 1}


@pytest.mark.parametrize(
    "name", [*OF_DRAWS, "failures", "losses", "pairs", "misspecification", "sensitivity", "predictive"]
)
def test_code_of_one_diagnostic(study: Workflow, name: str) -> None:
    module = study.source / f"diagnostics/{name}.py"
    code = module.read_text()
    module.write_text(code + "\nimport sys\n\nsys.stderr.write('the edited code\\n')\n")
    assert study.plan() == {name: 1, "report": 1}
    if name == "sbc":
        assert study.succeed() == {"sbc": 1, "report": 1}
        assert "the edited code" in (study.results / "logs/sbc.log").read_text()
        module.write_text(code)
        assert study.succeed() == {"sbc": 1, "report": 1}
        assert "the edited code" not in (study.results / "logs/sbc.log").read_text()


def test_an_observation_is_changed(study: Workflow) -> None:
    study.observation.write_text("1.0 1.0\n")
    assert study.plan() == AFTER_OBSERVATION


def test_an_observation_is_added(study: Workflow) -> None:
    shutil.copy(study.observation, study.folder / "data/second.txt")
    study.configure(observations={"second": "data/second.txt", "first": "data/first.txt"})
    assert study.succeed() == AFTER_OBSERVATION
    told = (study.results / "report.html").read_text()
    assert told.index("Observation second") < told.index("Observation first"), "not in the configuration's order"


def test_how_observations_are_read(study: Workflow) -> None:
    study.edit(study.model, "np.loadtxt(path)", "np.loadtxt(path) + 1")
    assert study.plan() == AFTER_OBSERVATION


def test_other_priors_are_looked_at_without_a_new_posterior(study: Workflow) -> None:
    study.edit(study.model, 'theta["a"] ** 2 / 4', 'theta["a"] ** 2 / 3')
    assert study.plan() == {"sensitivity": 1, "report": 1}
    study.edit(study.model, "alternative_priors =", "unused =")
    assert study.plan() == {"report": 1}


def test_labels_of_figures(study: Workflow) -> None:
    study.model.write_text(study.model.read_text() + "\n\nlabels = {'x': 'position'}\n")
    assert study.plan() == {"predictive": 1, "report": 1}


def test_derived_quantities_are_results_of_the_draws(study: Workflow) -> None:
    study.model.write_text(
        study.model.read_text() + "\n\ndef derived_quantities(theta):\n    return {'c': theta['a']}\n"
    )
    assert study.plan() == AFTER_FIT


def test_predictive_simulations_can_become_more(study: Workflow) -> None:
    """Three of them run in one batch of three; 4, 6 and 12 in batches of four, of which the first has run before."""
    for number, batches in ((3, 1), (6, 1), (12, 1)):
        study.configure(posterior__predictive=number)
        assert study.succeed() == {"predict": batches, "predictive": 1, "report": 1}
    study.configure(posterior__predictive=6)
    assert study.succeed() == {"predictive": 1, "report": 1}


def test_a_commit_record_is_deleted(study: Workflow) -> None:
    store = study.stores[0]
    before = content(store)
    (store / "round-0/status/c/1").unlink()
    assert study.plan() == {"simulate": 1}
    assert study.succeed() == {"simulate": 1}
    assert content(store) == before
    assert study.plan() == {}


@pytest.mark.parametrize(
    ("split", "result", "jobs"),
    [
        ("round-0", "fit/round-1/member-0/network.keras", {"simulate": 1, "train": 1}),
        ("test", "draws/test.zarr/zarr.json", {"simulate": 1, "draws": 1}),
        ("test", "diagnostics/sufficiency.csv", {"simulate": 1, "sufficiency": 1}),
        ("round-0", "observations/first/draws.nc", {"simulate": 1, "infer": 1}),
    ],
)
def test_a_result_waits_for_a_batch_that_was_taken_back(study: Workflow, split: str, result: str, jobs: dict) -> None:
    """The split is sealed already, so that nothing else but the record that is gone stands between them."""
    (study.results / result).unlink()
    (study.stores[0] / split / "status/c/1").unlink()
    assert study.succeed(str(study.results.relative_to(study.folder) / result)) == jobs


def test_a_split_that_was_lost_is_zarr_again(study: Workflow) -> None:
    (store,) = study.stores
    before = content(store)
    shutil.rmtree(store / "round-1")
    assert study.succeed() == {"simulate": 2}
    assert content(store) == before


def test_a_result_is_deleted(study: Workflow) -> None:
    (study.results / "diagnostics/sbc.png").unlink()
    assert study.plan() == {"sbc": 1, "report": 1}
    (study.results / "fit/round-1/member-0/network.keras").unlink()
    assert study.plan() == AFTER_TRAINING + Counter(train=1)


def test_results_that_nothing_waits_for_are_made_again(study: Workflow) -> None:
    """The predictive simulations that are there already are not run again: their job finds the same draws."""
    simulations = content(next((study.results / "observations/first").glob("predictive-*.zarr")))
    jobs = Counter()
    for result, stale in {
        "diagnostics/summary.csv": Counter(["report"]),
        "draws/test.zarr/zarr.json": AFTER_DRAWS,
        "observations/first/draws.nc": AFTER_OBSERVATION,
    }.items():
        (study.results / result).unlink()
        jobs |= stale
        assert study.plan() == jobs
    assert study.succeed() == jobs
    assert study.plan() == {}
    assert content(next((study.results / "observations/first").glob("predictive-*.zarr"))) == simulations


def test_sets_of_text_have_one_order_in_all_jobs(fresh: Workflow) -> None:
    names = "{'fox', 'hare', 'lynx', 'owl', 'vole', 'wolf'}"
    fresh.edit(
        fresh.model, "return {", f"noise = dict(zip({names}, rng.normal(size=6)))\n    return {{'y': noise['fox'], "
    )
    found = []
    for seed in ("1", "2"):
        fresh.succeed("results/small/manifest/test.json", PYTHONHASHSEED=seed)
        (store,) = fresh.stores
        found.append([(store / f"test/data/y/c/{number}").read_bytes() for number in range(2)])
        shutil.rmtree(fresh.folder / "results")
    assert found[0] == found[1]


def test_predictive_simulations_are_verified_and_repaired(study: Workflow) -> None:
    (chunk,) = (study.results / "observations/first").glob("predictive-*.zarr/*/data/x/c/0/0")
    chunk.write_bytes(chunk.read_bytes()[:-4])
    table = study.results / "observations/first/predictive.csv"
    table.unlink()
    assert "cinnflow verify --repair" in study.run(str(table.relative_to(study.folder))).output
    command = [sys.executable, "-m", "cinnflow.cli", "verify", "--repair"]
    environment = {**os.environ, "PYTHONPATH": str(study.source.parent)}
    subprocess.run(command, cwd=study.folder, env=environment, check=True)
    assert study.plan() == {"predict": 1, "predictive": 1, "report": 1}


def test_a_batch_that_comes_out_differently_makes_what_follows_stale(study: Workflow) -> None:
    study.edit(study.model, "NOISE * rng", "float(os.environ.get('NOISE', '0.5')) * rng")
    study.succeed(*study.manifests)
    record = study.stores[-1] / "test/status/c/0"
    record.unlink()
    run = study.run(str(record.relative_to(study.folder)), NOISE="0.6")
    assert run.jobs == {"simulate": 1}
    assert "came out differently" in run.output
    assert study.plan(*study.manifests) == {"seal": 1}


def test_a_fresh_study_runs_everything_under_the_default_profile(fresh: Workflow) -> None:
    run = fresh.run("--dry-run")
    assert "profiles/default" in run.output
    assert run.jobs == AFTER_SEAL + Counter(simulate=6, seal=3, train=2)
