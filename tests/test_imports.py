"""Who imports whom: jobs that need no network never load TensorFlow, and arrows between packages run one way."""

import ast
import gc
import subprocess
import sys
from pathlib import Path

import pytest

import cinnflow
from cinnflow.imports import quick_imports

SOURCE = Path(__file__).parent.parent / "src" / "cinnflow"
BELOW = {
    "simulation": set(),
    "store": {"simulation"},
    "networks": set(),
    "inference": {"networks", "simulation"},
    "training": {"inference", "networks", "simulation", "store"},
    "diagnostics": set(),
    "report": {"diagnostics"},
}
"""For each package, those that it may import."""

WITHOUT_TENSORFLOW = [
    "cinnflow",
    "cinnflow.cli",
    "cinnflow.plan",
    "cinnflow.report.report",
    *(f"cinnflow.steps.{path.stem}" for path in sorted((SOURCE / "steps").glob("[a-z]*.py"))),
    *(f"cinnflow.diagnostics.{path.stem}" for path in sorted((SOURCE / "diagnostics").glob("[a-z]*.py"))),
]


def test_no_tensorflow_where_none_is_needed():
    code = f"import importlib, sys\nfor name in {WITHOUT_TENSORFLOW}: importlib.import_module(name)\n"
    code += "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("package", BELOW)
def test_arrows_run_one_way(package):
    for path in (SOURCE / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cinnflow."):
                imported = node.module.split(".")[1]
                allowed = {package, "arguments", "config", "config_network", "errors", "mmd_kernel", *BELOW[package]}
                assert imported in allowed, f"{path} imports cinnflow.{imported}"


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_collected_again_after_imports(collecting):
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with pytest.raises(ImportError), quick_imports():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == collecting
        assert gc.get_freeze_count() == 0
    finally:
        (gc.enable if before else gc.disable)()


def test_matplotlib_is_put_off_until_it_is_used():
    code = """
import sys
import cinnflow
cinnflow.Trainer
assert "keras" in sys.modules and "matplotlib" not in sys.modules, "not put off"
from keras.src.visualization import plot_bounding_box_gallery, plot_image_gallery
plt, patches = plot_image_gallery.plt, plot_bounding_box_gallery.patches
assert "matplotlib" not in sys.modules
figure = plt.figure()
import matplotlib.patches, matplotlib.pyplot
assert isinstance(figure, matplotlib.pyplot.Figure) and patches.Patch is matplotlib.patches.Patch
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("first", ["matplotlib.pyplot", "keras"])
def test_matplotlib_that_is_there_already_stays(first):
    code = f"""
import sys, {first}
before = sys.modules["matplotlib"]
import cinnflow
cinnflow.Trainer
assert sys.modules["matplotlib"] is before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_matplotlib_may_be_used_while_others_are_imported():
    code = """
from cinnflow.imports import quick_imports
with quick_imports():
    import matplotlib.pyplot as plt
    plt.figure()
    from matplotlib.figure import Figure
assert isinstance(plt.figure(), Figure)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_there():
    assert all(getattr(cinnflow, name) is getattr(cinnflow, name) for name in cinnflow.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Posterior'"):
        _ = cinnflow.Posterior
