"""The command line: what it says and the status that it ends with."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from cinnflow.plan import Plan
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.layout import Batch, Store

SOURCE = Path(__file__).parent.parent / "src"
MODEL = """
import cinnflow as cf
def draw(rng): return rng.normal(size=2)
def simulate(theta, rng): return theta + rng.normal(size=(3, 2))
def build(): return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"]), cf.Simulator(simulate))
"""
CONFIG = "study: mine\nmodel: model.py\nsimulations: {rounds: 1, per_round: 8, batch_size: 4, test: 4}\n"


@pytest.fixture
def study(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def cinnflow(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "200"}
    command = [sys.executable, "-m", "cinnflow.cli", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_check_tells_shapes_supports_and_speed(study):
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for word in ("2 parameters", "-inf to inf", "shape (3, 2)", "s a simulation", "Training regime"):
        assert word in ended.stdout


def test_check_tells_the_draws_of_a_narrow_prior_apart(study):
    (study / "model.py").write_text(MODEL.replace("rng.normal(size=2)", "rng.uniform([1e9, -1], [1e9 + 300, 1])"))
    rows = {row[1]: row for row in map(str.split, cinnflow(study, "check").stdout.splitlines()) if len(row) > 1}
    low, median, high = (float(cell) for cell in rows["a"] if cell.startswith("1000000"))
    assert 1e9 <= low < median < high <= 1e9 + 300
    assert "-0.99" in " ".join(rows["b"])


def test_check_names_no_regime_where_nothing_could_be_simulated(study):
    (study / "model.py").write_text(MODEL.replace("return theta + rng.normal(size=(3, 2))", "return 1 / 0"))
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stdout
    assert "Training regime" not in ended.stdout


def test_check_finds_chance_that_no_seed_fixes(study):
    (study / "model.py").write_text(
        MODEL.replace(
            "def simulate(theta, rng): return theta + rng.normal(size=(3, 2))",
            "import time\ndef simulate(theta, rng): return theta * time.perf_counter()",
        )
    )
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert "the same seed gave different output" in ended.stdout


def test_check_finds_chance_in_how_the_model_file_is_loaded(study):
    text = MODEL.replace("return theta +", "return A + theta +")
    for draw, code in (("np.random.default_rng().normal()", 1), ("np.random.normal()", 0)):
        (study / "model.py").write_text(f"import numpy as np\nA = {draw}\n{text}")
        ended = cinnflow(study, "check")
        assert ended.returncode == code, "NumPy's global generator is fixed while a model file is loaded"
        assert ("the same seed gave different output" in ended.stdout) == bool(code)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "return rng.normal(size=2)",
            "import numpy as np; return np.random.normal(size=2)",
            "the parameters themselves",
        ),
        ("size=(3, 2))", "size=(1 + rng.integers(9), 2))", "simulations differ in shape, (1, 2), (2, 2), "),
        ("theta + rng.normal(size=(3, 2))", "theta[0] + rng.normal()", "set network.summary.type to none"),
        ("return rng.normal(size=2)", "return undefined", "NameError: name 'undefined' is not defined ("),
        ("def build()", "def read_observation(path): return 1 / 0\ndef build()", "ZeroDivisionError"),
        (
            "def build()",
            "def read_observation(path): return [1, 2]\ndef build()",
            "observation one: one.csv: x has shape",
        ),
    ],
)
def test_check_finds_what_would_end_a_study_later(study, old, new, says):
    assert old in MODEL
    (study / "model.py").write_text(MODEL.replace(old, new))
    (study / "config.yaml").write_text(CONFIG + "observations: {one: one.csv}\n")
    (study / "one.csv").write_text("1,2\n3,4\n5,6\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert says in ended.stdout


@pytest.mark.parametrize(
    ("observed", "says"),
    [
        ("1,2\n3,4\n5,\n", "simulations.observation: one.csv: x holds values that are not finite"),
        ("1,2,3,4,5,6\n" * 17, "one.csv holds 17 data sets; proposals are truncated for 16 at most"),
    ],
)
def test_check_reads_the_file_that_proposals_are_truncated_around(study, observed, says):
    config = CONFIG.replace("test: 4", "test: 4, proposal: truncated, observation: one.csv")
    (study / "config.yaml").write_text(config)
    (study / "one.csv").write_text(observed)
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert says in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("rows", "says", "remarks"),
    [
        ("1,2\n3,4\n5,6\n", "observation one: 1 data set, x (3, 2)", False),
        ("1990,1991,1992,1993,1994,1995\n3.5,4,4,9,1,0\n", "observation one: 2 data sets, each x (3, 2)", True),
        ("0,7,9,11,20,31\n3,4,5,6,7,9\n", "observation one: 2 data sets, each x (3, 2)", False),
        ("a,b,c,d,e,f\n1,2,3,4,5,6\n3,3,3,3,3,3\n", "observation one: 2 data sets, each x (3, 2)", False),
        ("#1990,1991,1992,1993,1994,1995\n3.5,4,4,9,1,0\n", "observation one: 1 data set, x (3, 2)", False),
    ],
)
def test_check_says_what_it_reads_from_an_observation(study, rows, says, remarks):
    (study / "config.yaml").write_text(CONFIG + "observations: {one: one.csv}\n")
    (study / "one.csv").write_text(rows)
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout
    assert says in ended.stdout.splitlines()
    assert ("the first row of one.csv goes up in whole numbers" in ended.stdout) == remarks


def test_check_reads_observations_that_may_be_shorter(study):
    (study / "model.py").write_text(
        MODEL.replace("size=(3, 2)", "size=(n_obs, 2)")
        .replace("theta, rng)", "theta, rng, n_obs)")
        .replace(
            "cf.Simulator(simulate)",
            "cf.Simulator(simulate, context_generator=cf.ContextGenerator(non_batchable_context_fun="
            "lambda rng: {'n_obs': rng.integers(1, 9)}), max_length=8)",
        )
    )
    (study / "config.yaml").write_text(CONFIG + "observations: {one: one.csv}\n")
    (study / "one.csv").write_text("1,2\n3,4\n5,6\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "observation one: 1 data set, x (3, 2)" in ended.stdout


def test_a_simulator_in_tensorflow_runs_in_worker_processes(study):
    (study / "model.py").write_text(
        """
import cinnflow as cf
def simulate(theta, seed):
    import tensorflow as tf
    return theta[:, None] + tf.random.stateless_normal((theta.shape[0], 3, 2), seed, dtype=tf.float64)
def build():
    prior = cf.Prior(lambda rng, count: rng.normal(size=(count, 2)), names=["a", "b"], batched=True)
    return cf.GenerativeModel(prior, cf.TensorFlowSimulator(simulate))
"""
    )
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "shape (3, 2)" in ended.stdout and "different output" not in ended.stdout


def test_check_remarks_on_a_seed_without_effect(study):
    (study / "model.py").write_text(MODEL.replace("theta + rng.normal(size=(3, 2))", "[theta, theta, theta]"))
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "the output does not depend on the seed: 5 parameter vectors" in ended.stdout


@pytest.mark.parametrize(
    ("shape", "summary", "says"),
    [
        ("2", "deep_set", "deep_set takes the 2 numbers of x for exchangeable. Where it matters which is which, set"),
        ("2", "set_transformer", "set_transformer takes the 2 numbers of x"),
        ("2", "time_series", None),
        ("2", "none", None),
        ("(3, 2)", "time_series", None),
        (
            "(3, 2)",
            "deep_set",
            "takes the 3 rows of x for exchangeable. Where it matters which is which, set network.summary.type to "
            "another: time_series keeps their order, and a class of the model file may read an image",
        ),
    ],
)
def test_check_remarks_on_data_that_are_taken_for_a_set(study, shape, summary, says):
    (study / "model.py").write_text(MODEL.replace("(3, 2)", shape))
    (study / "config.yaml").write_text(f"{CONFIG}network: {{summary: {{type: {summary}}}}}\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (says in " ".join(ended.stdout.split())) if says else ("exchangeable" not in ended.stdout)


def test_check_shows_why_a_simulation_fails(study):
    (study / "model.py").write_text(
        MODEL.replace("return theta + rng.normal(size=(3, 2))", "raise ValueError('no luck')")
    )
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert "crashed: ValueError: no luck" in ended.stdout


def test_check_tries_derived_quantities(study):
    (study / "model.py").write_text(MODEL + "def derived_quantities(theta): return {'a': theta['b']}\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert "derived_quantities() in" in ended.stdout and "calls a quantity a, as a parameter is called" in ended.stdout


def test_check_finds_parameters_that_cannot_be_trained(study):
    counts = "def draw(rng): return rng.poisson(2), 1.0"
    text = MODEL.replace("def draw(rng): return rng.normal(size=2)", counts).replace('"b"]', '"b"], lower=0')
    (study / "model.py").write_text(text)
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    for words in ("draws of a lie on its lower bound 0", "b is the same in all draws", "a takes 10 values only"):
        assert words in ended.stdout


def test_status_before_anything_has_run(study):
    ended = cinnflow(study, "status")
    assert ended.returncode == 0
    assert "0/2" in ended.stdout
    assert "0/8" in ended.stdout


def test_retry_takes_up_what_has_another_shape_than_the_first_batch(study):
    model = MODEL.replace("theta + rng.normal(size=(3, 2))", "theta[0] + rng.normal(size=3 if theta[0] < -1 else 10)")
    (study / "model.py").write_text(model)
    (study / "config.yaml").write_text(CONFIG.replace("batch_size: 4", "batch_size: 1"))
    plan = Plan.of({**yaml.safe_load((study / "config.yaml").read_text()), "model": str(study / "model.py")}, "")
    store = Store(study / plan.store_of("round-0").path)
    draws = [plan.model.generative.draw(simulation_seed(plan.study.seed, "round-0", index))[0] for index in range(8)]
    for index in np.argsort(draws):  # one of the short ones first
        batch = Batch(store, "round-0", int(index), 1)
        run_batch(batch, plan.model.generative, plan.study.seed, plan.fingerprint.parts, Limits())
    assert min(draws) < -1 < np.median(draws)
    told = cinnflow(study, "retry", "--reason", "crashed").stdout
    assert "give" not in told and len(store.committed("round-0")) == 8
    told = cinnflow(study, "retry", "--reason", "unreadable").stdout
    assert "simulations give x (10,), and the first batch gave x (3,)" in " ".join(told.split())
    assert store.committed("round-0") == []
    assert "x (10,)" not in cinnflow(study, "retry", "--reason", "unreadable").stdout


@pytest.mark.parametrize("command", [["status"], ["retry", "--reason", "crashed"]])
def test_another_batch_size_than_the_stores_is_told(study, command):
    plan = Plan.of(yaml.safe_load(CONFIG) | {"model": str(study / "model.py")})
    store = Store(study / "results/simulations" / plan.store.path.name)
    run_batch(Batch(store, "round-0", 0, 4), plan.model.generative, 1, plan.fingerprint.parts, Limits())
    (study / "config.yaml").write_text(CONFIG.replace("batch_size: 4", "batch_size: 8"))
    ended = cinnflow(study, *command)
    assert ended.returncode == 1
    assert "set simulations.batch_size: 4" in ended.stdout


def test_verify_and_retry_of_nothing(study):
    assert "every chunk is as it should be" in cinnflow(study, "verify").stdout
    assert "round-0: 0 simulations run again" in cinnflow(study, "retry", "--reason", "timeout,crashed").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("status", "--configfile", "none.yaml"), "no configuration file none.yaml"),
        (("retry", "--reason", "bored"), "'bored': takes crashed, timed_out"),
        (("retry",), "--reason"),
    ],
)
def test_mistakes_end_in_a_plain_word(study, arguments, says):
    ended = cinnflow(study, *arguments)
    assert ended.returncode != 0
    assert says in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sede: 3", "sede: no such key; did you mean seed?"),
        ("observations: {one: 'of {1}.csv'}", "observations.one: got 'of {1}.csv'; takes a path without braces"),
    ],
)
def test_a_wrong_configuration_names_its_file_and_key(study, line, says):
    (study / "config.yaml").write_text(f"{CONFIG}{line}\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert says in ended.stdout


@pytest.fixture
def elsewhere(tmp_path):
    """A study of twenty simulations made elsewhere, one of which is not finite."""
    x = np.random.default_rng(0).normal(size=(20, 3))
    x[4] = np.nan
    np.savez(tmp_path / "sims.npz", theta=x[:, :2], x=x, notes=x, names=np.array(["a", "b"]))
    (tmp_path / "config.yaml").write_text("study: mine\nsimulations: {source: sims.npz, test: 6}\n")
    return tmp_path


def test_a_study_of_simulations_made_elsewhere(elsewhere):
    ended = cinnflow(elsewhere, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for line in (
        "test: rows 14 to 19",
        "parameter b: support -inf to inf",
        "data x: shape (3,)",
        "not used: notes",
        "deep_set takes the 3 numbers of x for exchangeable",
    ):
        assert line in ended.stdout
    assert "not finite: 1 of 20" in ended.stdout
    ended = cinnflow(elsewhere, "status")
    assert "0/14" in ended.stdout
    assert "0/6" in ended.stdout
    assert "every chunk is as it should be" in cinnflow(elsewhere, "verify").stdout
    ended = cinnflow(elsewhere, "retry", "--reason", "not_finite")
    assert ended.returncode == 1
    assert "none of them can be run again: mend those that failed in sims.npz" in ended.stdout


@pytest.mark.parametrize(
    ("observed", "code", "says"),
    [("1,2,3", 0, "observation one: 1 data set, x (3,)"), ("1,2,3,4", 1, "one.csv: x has shape (1, 4)")],
)
def test_check_reads_the_observations_of_simulations_made_elsewhere(elsewhere, observed, code, says):
    with (elsewhere / "config.yaml").open("a") as file:
        file.write("observations: {one: one.csv}\n")
    (elsewhere / "one.csv").write_text(observed)
    ended = cinnflow(elsewhere, "check")
    assert ended.returncode == code
    assert says in ended.stdout


def test_parameters_made_elsewhere_that_cannot_be_trained(elsewhere):
    np.savez(elsewhere / "sims.npz", theta=np.ones((20, 1)), x=np.arange(60.0).reshape(20, 3), names=np.array(["a"]))
    ended = cinnflow(elsewhere, "check")
    assert ended.returncode == 1
    assert "a is the same in all draws: leave it out of the prior" in ended.stdout


def test_what_a_study_of_simulations_made_elsewhere_cannot_have(elsewhere):
    config = elsewhere / "config.yaml"
    text = config.read_text()
    for changed, says in (
        (text.replace("sims.npz", "none.npz"), "got 'none.npz'; takes the path of a file that exists"),
        (text.replace("test: 6", "test: 20"), "sims.npz holds 20 simulations, of which simulations.test: 20"),
        (text.replace("test: 6", "rounds: 2"), "simulations.rounds: got 2; takes no value beside"),
        (text + "model_options: {a: 1}\n", "model_options: got {'a': 1}; takes none without a model file"),
    ):
        config.write_text(changed)
        ended = cinnflow(elsewhere, "status")
        assert ended.returncode == 1
        assert says in ended.stdout
        assert "Traceback" not in ended.stdout + ended.stderr


NETWORK = """
import keras
@keras.saving.register_keras_serializable()
class Convolution(keras.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = keras.Sequential([keras.layers.Conv2D(2, 1), keras.layers.GlobalAveragePooling2D()])
    def call(self, x): return self.net(SEEN)
"""


@pytest.mark.parametrize(("seen", "fits"), [("x[..., None]", True), ("x", False)])
def test_check_tries_a_summary_network_of_the_model_files_own(study, seen, fits):
    (study / "model.py").write_text(MODEL + NETWORK.replace("SEEN", seen))
    (study / "config.yaml").write_text(f"{CONFIG}network: {{summary: {{type: Convolution}}}}\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == (0 if fits else 1), ended.stdout + ended.stderr
    assert ("Convolution does not take data sets of shape (3, 4)" in ended.stdout) != fits


def test_check_tells_which_arrays_the_summary_network_reads(study):
    simulate = "{'x': rng.normal(size=(3, 2)), 'y': rng.normal(size=4), 'z': rng.normal(size=3)}"
    (study / "model.py").write_text(MODEL.replace("theta + rng.normal(size=(3, 2))", simulate))
    assert "deep_set reads x, z as channels of one; y go past it, as they are" in cinnflow(study, "check").stdout


def test_check_tells_what_to_do_about_missing_elements(study):
    missing = MODEL.replace("theta + rng.normal(size=(3, 2))", "np.where(np.arange(3) < 2, rng.normal(size=3), np.nan)")
    (study / "model.py").write_text(missing if "import numpy as np" in missing else f"import numpy as np\n{missing}")
    assert "give zeros, and a boolean array 'mask'" in " ".join(cinnflow(study, "check").stdout.split())
    simulate = "{'x': rng.normal(size=3), 'mask': rng.random(3) < 0.5}"
    (study / "model.py").write_text(MODEL.replace("theta + rng.normal(size=(3, 2))", simulate))
    said = cinnflow(study, "check").stdout
    assert "as channels" not in said
    assert "takes the 3 numbers of x for exchangeable" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which files are opened")
@pytest.mark.parametrize("declared", [False, True])
def test_check_remarks_on_what_simulations_read_and_nothing_watches(study, declared):
    (study / "tables").mkdir()
    (study / "tables/rates.txt").write_text("2")
    simulate = "theta * float(open('tables/rates.txt').read()) + rng.normal(size=(3, 2))"
    files = ", files=['tables/rates.txt']" if declared else ""
    text = MODEL.replace("theta + rng.normal(size=(3, 2))", simulate)
    (study / "model.py").write_text(text.replace("cf.Simulator(simulate)", f"cf.Simulator(simulate{files})"))
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ("simulations read tables/rates.txt: an edit would not be noticed" in ended.stdout) != declared


@pytest.mark.parametrize("declared", [False, True])
def test_check_remarks_on_a_script_that_nothing_watches(study, declared):
    script = study / "sim.py"
    script.write_text(
        "import random, sys\nrandom.seed(sys.argv[1])\nopen(sys.argv[2], 'w').write(f'{random.random()}')\n"
    )
    command = [sys.executable, str(script), "{seed}", "{out}"]
    files = [str(script)] if declared else []
    build = f"cf.ExternalSimulator({command!r}, out='x.csv', files={files!r})"
    (study / "model.py").write_text(MODEL.replace("cf.Simulator(simulate)", build))
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (f"{script} by an absolute path: an edit would not be noticed" in ended.stdout) != declared
    assert "simulations read" not in ended.stdout
    assert "cannot be run" not in ended.stdout


def test_alternative_priors_without_names_are_refused(study):
    (study / "model.py").write_text(MODEL + "alternative_priors = [lambda theta: 0 * theta['a']]\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 1
    assert "takes a dict of functions by name" in ended.stdout


def test_check_remarks_on_a_derived_quantity_without_a_value(study):
    (study / "model.py").write_text(MODEL + "def derived_quantities(theta): return {'c': theta['a'] ** 0.5}\n")
    ended = cinnflow(study, "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "c of derived_quantities() is not finite for 0." in ended.stdout
