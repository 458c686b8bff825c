"""Files that simulations depend on count without being declared, and those that they do not depend on never do."""

import os

import pytest

from cinnflow.simulation.model_file import load_model
from cinnflow.store.fingerprint import fingerprint

MODEL = """
import json, os
from pathlib import Path
import numpy as np
import cinnflow as cf

HERE = Path(__file__).parent
{constant}

def draw(rng): return rng.normal(size=1)
def simulate(theta, rng): return theta * K
def build():
    {built}
    return cf.GenerativeModel(cf.Prior(draw, ["mu"]), cf.Simulator(simulate))
def read_observation(path): return OBSERVED
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("rates.txt", "observed.txt", "data/deep.txt", ".hidden.txt", "../beside.txt"):
        (tmp_path / "toy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "toy" / name).write_text("1")
    return tmp_path / "toy"


def meaning(folder, constant="K = 1", built=""):
    (folder / "model.py").write_text(MODEL.format(constant=constant, built=built))
    return fingerprint(load_model(folder / "model.py"), {}, 7)


@pytest.mark.parametrize(
    ("constant", "built", "name"),
    [
        ('K = np.loadtxt(HERE / "rates.txt")', "", "rates.txt"),
        ('K = json.loads((HERE / "rates.txt").read_text())', "", "rates.txt"),
        ('with open(HERE / "data" / "deep.txt") as file:\n    K = float(file.read())', "", "data/deep.txt"),
        ('K = os.read(os.open(HERE / "rates.txt", os.O_RDONLY), 9)', "", "rates.txt"),
        ("def load(name): return np.loadtxt(HERE / name)", 'global K; K = load("rates.txt")', "rates.txt"),
        ('exec(open(HERE / "rates.txt").read()); K = 1', "", "rates.txt"),
    ],
)
def test_a_file_that_is_read_as_the_model_is_loaded_counts(folder, constant, built, name):
    first = meaning(folder, constant, built)
    assert meaning(folder, constant, built) == first
    (folder / name).write_text("2")
    assert meaning(folder, constant, built).differences(first.parts) == [f"file: {name}"]


def test_so_does_one_that_a_module_reads_which_simulations_need(folder):
    (folder / f"tables_{os.getpid()}.py").write_text(
        'from pathlib import Path\nK = float(Path(__file__).with_name("rates.txt").read_text())\n'
    )
    found = meaning(folder, f"from tables_{os.getpid()} import K").parts
    assert [part for part in found if part.startswith("file: ")] == ["file: rates.txt"]


@pytest.mark.parametrize(
    "constant",
    [
        'K = 1; OBSERVED = np.loadtxt(HERE / "observed.txt")',  # which build() does not reach
        'K = 1\nOBSERVED = np.loadtxt(\n    HERE / "observed.txt"\n)',
        'K = np.loadtxt(HERE / ".hidden.txt")',
        'K = np.loadtxt(HERE / "../beside.txt")',
        'K = 1\nif "observed.txt" in os.listdir(HERE): pass',
        'open(HERE / "log.txt", "a").write("loaded"); K = len(open(HERE / "log.txt").read())',
    ],
)
def test_others_do_not(folder, constant):
    constant = constant.replace("; OBSERVED", "\nOBSERVED")
    first = meaning(folder, constant)
    assert not [part for part in first.parts if part.startswith("file: ")]
    for name in ("observed.txt", ".hidden.txt", "../beside.txt"):
        (folder / name).write_text("2")
    assert meaning(folder, constant) == first


def test_a_cache_counts_alike_before_and_after_it_is_made(folder):
    constant = 'C = HERE / "cache.txt"\nif not C.exists():\n    C.write_text("3")\nK = float(C.read_text())'
    first = meaning(folder, constant)
    assert "file: cache.txt" in first.parts
    assert meaning(folder, constant) == first


def test_modules_beside_a_python_script_count(folder):
    built = 'return cf.GenerativeModel(cf.Prior(draw, ["mu"]), cf.ExternalSimulator(["python", "sim.py"], out="x.csv"))'
    for name, text in {
        "sim.py": "import physics, json",
        "physics.py": "import deep",
        "deep.py": "",
        "other.py": "",
    }.items():
        (folder / name).write_text(text)
    first = meaning(folder, built=built)
    files = ["file: deep.py", "file: physics.py", "file: sim.py"]
    assert [part for part in first.parts if part.startswith("file: ")] == files
    (folder / "deep.py").write_text("RATE = 2")
    assert meaning(folder, built=built).differences(first.parts) == ["file: deep.py"]
    (folder / "sim.py").write_text("print 'Python 2'")
    assert "file: physics.py" not in meaning(folder, built=built).parts
