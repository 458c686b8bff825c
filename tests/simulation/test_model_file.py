import subprocess
import sys

import numpy as np
import pytest

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.model_file import ModelError, load_model
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.pilot import pilot
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.simulator import Simulator

MODEL = """
import numpy as np
import cinnflow as cf

def draw(rng):
    return rng.normal(size=1)

def simulate(theta, rng, n_obs=3):
    return theta + rng.normal(size=n_obs)

def build(n_obs=3):
    return cf.GenerativeModel(cf.Prior(draw, ["mu"]), cf.Simulator(lambda theta, rng: simulate(theta, rng, n_obs)))
"""


def write(folder, text=MODEL, name="model.py"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_model_file_gives_a_model(tmp_path):
    model = load_model(write(tmp_path / "my model"), {"n_obs": 5})
    assert model.name == "my-model"
    assert model.generative(4, np.random.default_rng(1))["sim_data"].shape == (4, 5)
    np.testing.assert_array_equal(model.generative.draw(7), model.generative.draw(7))
    assert model.read_observation is None
    assert model.published == []
    assert model.derived_quantities(np.zeros((2, 1))) == {}
    assert load_model(write(tmp_path / "my model", name="sir.py")).name == "sir"
    assert [path.name for path in (tmp_path / "my model").iterdir() if path.is_dir()] == []


def test_what_a_model_file_may_say_beside_build(tmp_path):
    text = MODEL + (
        "def read_observation(path): return 1\n"
        "published = [{'quantity': 'size', 'value': 3, 'source': 'a paper'}]\n"
        "def derived_quantities(theta): return {'size': theta['mu'] ** 2, 'one': 1}\n"
    )
    model = load_model(write(tmp_path, text))
    assert model.read_observation(None) == 1
    assert model.published == [{"quantity": "size", "value": 3, "source": "a paper"}]
    model.check_quantities(np.zeros((3, 1)))
    derived = model.derived_quantities(np.full((2, 4, 1), 3.0))
    np.testing.assert_equal(derived, {"size": np.full((2, 4), 9.0), "one": np.ones((2, 4))})


def test_derived_quantities_may_write_into_their_argument(tmp_path):
    text = "def derived_quantities(theta):\n    theta['mu'] *= 100\n    return {'size': theta['mu']}\n"
    theta = np.ones((2, 4, 1))
    derived = load_model(write(tmp_path, MODEL + text)).derived_quantities(theta)
    np.testing.assert_equal(derived, {"size": np.full((2, 4), 100.0)})
    np.testing.assert_array_equal(theta, 1.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "defines no build"),
        ("build = 3", "defines no build"),
        ("def build(: pass", "cannot be imported: SyntaxError"),
        ("import no_such_module_at_all", "cannot be imported: ModuleNotFoundError: .*'no_such_module_at_all'"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
        (MODEL + "published = [{'quantity': 'mu', 'source': ''}]", r"published\[0\] in .* lacks value: it is {'qu"),
        ("def build(): return 5", "must return a GenerativeModel, got int"),
        ("def build(): raise ValueError('no such thing')", "failed: ValueError: no such thing"),
        ("def build(n): return n", r"model_options do not fit build\(n\).*missing a required argument: 'n'"),
        (MODEL.replace("cf.Simulator(lambda", "(lambda"), "simulator takes a cinnflow Simulator or ExternalSimulator"),
        (MODEL.replace("size=1", "size=1), rng.normal(", 1).replace('["mu"]', '["mu", "mu"]'), "PriorError: .*differ"),
        (MODEL[: MODEL.index("def build")] + "def build():\n    return cf.GenerativeModel(cf.Prior(draw, ['mu']), "
         "cf.ExternalSimulator(['./absent'], 'x.csv'))", "the simulator in .*absent.*cannot be run"),
    ],
)  # fmt: skip
def test_a_model_file_that_cannot_be_used(tmp_path, text, says):
    with pytest.raises(ModelError, match=says) as raised:
        load_model(write(tmp_path, text))
    assert str(tmp_path / "model.py") in str(raised.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return {'mu': theta['mu']}", "calls a quantity mu, as a parameter is called"),
        ("return {'size': theta['nu']}", "failed: KeyError: 'nu'"),
        ("return [1, 2]", "failed: TypeError"),
        ("return {'mu/k': theta['mu']}", "calls a quantity 'mu/k'; takes 1 to 64 printable characters without '/'"),
        ("return {'draw': theta['mu']}", "calls a quantity 'draw'; takes .* other than .*chain, draw"),
        ("return {'size': theta[..., 0]}", r"failed: KeyError: \(Ellipsis, 0\); theta is a dict of arrays: mu"),
        ("return {'size': [1, 2]}", "size takes one number for each parameter vector"),
        ("return {'length': 1}", "published in .* names the quantity size; takes mu, length"),
    ],
)
def test_quantities_that_cannot_be_used(tmp_path, body, says):
    text = MODEL + "published = [{'quantity': 'size', 'value': 3, 'source': ''}]\n"
    model = load_model(write(tmp_path, f"{text}def derived_quantities(theta): {body}\n"))
    with pytest.raises(ModelError, match=says) as raised:
        model.check_quantities(np.zeros((3, 1)))
    assert str(tmp_path / "model.py") in str(raised.value)


def test_options_that_do_not_fit(tmp_path):
    with pytest.raises(ModelError, match=r"build\(n_obs=3\).*unexpected keyword argument 'nobs'"):
        load_model(write(tmp_path), {"nobs": 5})


def test_no_model_file(tmp_path):
    with pytest.raises(ModelError, match="is not there"):
        load_model(tmp_path / "model.py")
    with pytest.raises(ModelError, match="is no Python file"):
        load_model(write(tmp_path, name="model.txt"))


def test_dataclasses_with_deferred_annotations(tmp_path):
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n" + MODEL
    load_model(write(tmp_path, text + "@dataclass\nclass City:\n    people: int = 1\n"))


def test_two_models_have_a_module_of_one_name_each(tmp_path):
    text = MODEL.replace("import numpy as np", "from helper import SIZE").replace("size=n_obs", "size=SIZE")
    for folder, size in (("a", 2), ("b", 6)):
        path = write(tmp_path / folder, text)
        (tmp_path / folder / "helper.py").write_text(f"SIZE = {size}")
        assert load_model(path).generative(1, np.random.default_rng(1))["sim_data"].shape == (1, size)
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_import_inside_a_function_finds_the_models_folder(tmp_path):
    text = MODEL.replace("    return theta + ", "    from late_helper import SCALE\n    return SCALE * theta + ")
    path = write(tmp_path, text)
    (tmp_path / "late_helper.py").write_text("SCALE = 2")
    model = load_model(path).generative
    assert model(3, np.random.default_rng(1))["sim_data"].shape == (3, 3)


def test_loading_and_running_a_model_imports_no_tensorflow(tmp_path):
    code = (
        "import sys\nfrom cinnflow.simulation.model_file import load_model\n"
        "from cinnflow.simulation.pilot import pilot\nimport cinnflow.store.seal\n"
        f"print(pilot(load_model({str(write(tmp_path))!r}).generative, 1, 2, None).shapes)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "{'x': (3,)}\n"), done.stderr


def test_what_makes_no_generative_model():
    prior, simulator = Prior(lambda rng: rng.normal(), ["a"]), Simulator(lambda theta, _: theta)
    with pytest.raises(TypeError, match="prior takes a cinnflow Prior, got Simulator"):
        GenerativeModel(simulator, simulator)
    with pytest.raises(TypeError, match="got function"):
        GenerativeModel(prior, lambda theta: theta)


def test_the_prior_of_a_simulation_depends_on_its_seed_alone():
    model = GenerativeModel(Prior(lambda rng: rng.normal(size=2), ["a", "b"]), Simulator(lambda theta, _: theta))
    first = model.draw(1)
    assert not np.array_equal(model.draw(2), first)
    np.testing.assert_array_equal(model.draw(1), first)


def test_a_pilot_tells_what_a_model_does(tmp_path):
    found = pilot(load_model(write(tmp_path)).generative, 1, 3, None)
    assert (found.shapes, found.failures, found.problems, found.regime) == ({"x": (3,)}, {}, [], "online")
    assert found.theta.shape == (1000, 1)
    unseeded = load_model(
        write(tmp_path, MODEL.replace("theta + rng.normal", "theta + np.random.default_rng().normal"))
    )
    (problem,) = pilot(unseeded.generative, 1, 2, None).problems
    assert problem.startswith("the same seed gave different output (x)")
    failing = pilot(
        load_model(write(tmp_path, MODEL.replace("return theta +", "return 1 / 0 +"))).generative, 1, 2, 5.0
    )
    assert [outcome.status for outcome in failing.failures.values()] == [Status.CRASHED] * 2


def test_a_pilot_finds_a_generator_that_outlives_a_simulation(tmp_path):
    text = MODEL.replace("def draw", "RNG = np.random.default_rng(1)\n\ndef draw").replace("theta + rng", "theta + RNG")
    found = pilot(load_model(write(tmp_path, text)).generative, 1, 3, None)
    assert [problem[:36] for problem in found.problems] == ["the same seed gave different output "]
    assert found.remarks == []


@pytest.mark.parametrize("data", ["theta + np.random.default_rng(42).normal(size=3)", "np.repeat(theta, 3)"])
def test_a_pilot_tells_where_the_seed_has_no_effect(tmp_path, data):
    text = MODEL.replace("theta + rng.normal(size=n_obs)", data)
    found = pilot(load_model(write(tmp_path, text)).generative, 1, 3, None)
    (remark,) = found.remarks
    assert remark.startswith("the output does not depend on the seed: 3 parameter vectors")
    assert found.problems == []


def test_a_pilot_runs_a_simulator_with_noise_for_one_other_seed_alone(tmp_path):
    text = MODEL.replace("return theta +", f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); return theta +")
    assert pilot(load_model(write(tmp_path, text)).generative, 1, 3, None).remarks == []
    assert (tmp_path / "runs").read_text() == "x" * 7


CLOCK = """
import cinnflow as cf

def build():
    command = ["sh", "-c", "echo $(( {mu} * 0 + $(date +%s) )) > x.csv"]
    return cf.GenerativeModel(cf.Prior(lambda rng: rng.integers(9), ["mu"]), cf.ExternalSimulator(command, "x.csv"))
"""


def test_a_pilot_finds_a_program_that_takes_its_seed_from_the_clock(tmp_path):
    found = pilot(load_model(write(tmp_path, CLOCK)).generative, 1, 2, None)
    assert [problem[:36] for problem in found.problems] == ["the same seed gave different output "]


WRITES = "import os; np.savetxt({name}, theta); return np.loadtxt({name}) + "


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("'in.txt'", True),
        ("f'{rng.integers(10**9)}.txt'", False),  # one for each simulation, though the same in both passes
        ("os.path.join(os.path.dirname(__file__), 'in.txt')", False),
    ],
)
def test_a_pilot_finds_files_that_simulations_overwrite_for_each_other(tmp_path, monkeypatch, name, found):
    path = write(tmp_path / "model", MODEL.replace("return theta + ", WRITES.format(name=name)))
    (tmp_path / "in.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    problems = pilot(load_model(path).generative, 1, 4, None).problems
    assert [problem[:52] for problem in problems] == ["the simulator writes in.txt into the current folder,"] * found


def test_a_pilot_does_not_take_a_log_that_grows_meanwhile_for_the_simulators(tmp_path, monkeypatch):
    text = MODEL.replace("return theta +", "open('run.log', 'a').write('line'); return theta +")
    path = write(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    assert pilot(load_model(path).generative, 1, 4, None).problems == []
