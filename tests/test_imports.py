"""Who imports whom: jobs that need no network never load TensorFlow, and arrows between packages run one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

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
    *(
        f"cinnflow.steps.{name}"
        for name in ("simulate", "import_source", "seal", "diagnose", "pairs", "predict", "predictive", "report")
    ),
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
                allowed = {package, "config", "config_network", "errors", *BELOW[package]}
                assert imported in allowed, f"{path} imports cinnflow.{imported}"
