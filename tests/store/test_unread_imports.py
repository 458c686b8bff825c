"""What a model file imports under a name that no reading of its code shows is part of what it means."""

import pytest

from cinnflow.simulation.model_file import load_model
from cinnflow.store.fingerprint import fingerprint

MODEL = """
import importlib
import cinnflow as cf

NAME = "{name}"
{constant}

def draw(rng): return rng.normal(size=1)
def simulate(theta, rng): return theta * K
def build():
    {built}
    return cf.GenerativeModel(cf.Prior(draw, ["mu"]), cf.Simulator(simulate))
"""


def digest(path):
    return fingerprint(load_model(path), {}, 7).digest


@pytest.mark.parametrize(
    ("constant", "built"),
    [
        ("K = importlib.import_module(NAME).K", ""),
        ("K = __import__(NAME).K", ""),
        ("def load(name): return importlib.import_module(name)", "global K; K = load(NAME).K"),
    ],
)
def test_a_module_under_a_name_in_a_variable_counts(tmp_path, constant, built):
    name = f"helper_{abs(hash(tmp_path))}"  # each its own: a process imports a module once
    path, helper = tmp_path / "model.py", tmp_path / f"{name}.py"
    path.write_text(MODEL.format(name=name, constant=constant, built=built))
    helper.write_text("def later():\n    import deeper\n\nK = 3\n")
    (tmp_path / "deeper.py").write_text("X = 1\n")
    first = digest(path)
    assert digest(path) == first, "its modules are imported already"
    helper.write_text('"""Helps."""\ndef later():\n    import deeper\n\nK = 0x3  # three\n')
    assert digest(path) == first, "it means the same"
    helper.write_text("def later():\n    import deeper\n\nK = 4\n")
    second = digest(path)
    assert second != first
    (tmp_path / "deeper.py").write_text("X = 2\n")
    assert digest(path) != second, "what it imports in turn"


def test_what_an_import_shows_counts_only_where_simulations_reach_it(tmp_path):
    name = f"reading_{abs(hash(tmp_path))}"
    path, reading = tmp_path / "model.py", tmp_path / f"{name}.py"
    plain = MODEL.replace("import importlib", f"import {name}").format(name="", constant="K = 3", built="")
    path.write_text(f"{plain}\ndef read_observation(path): return {name}.ZERO\n")
    reading.write_text("ZERO = 0\n")
    first = digest(path)
    reading.write_text("ZERO = 1\n")
    assert digest(path) == first
