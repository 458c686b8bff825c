"""How good a posterior becomes with a given number of simulations, beside sbi, where the truth has two parts.

    python benchmarks/training.py --install         once: installs the peers into .peers/ (4 GB)
    python benchmarks/posterior_quality.py [--simulations 1000 10000]

C2ST is the accuracy of a classifier that tells posterior draws from exact ones, on average over five data sets: 0.5 is
perfect. cinnflow trains with its defaults but for the coupling; sbi with a neural spline flow and its defaults.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from bimodal import DRAWS, TASKS, Task

from cinnflow.config import Training
from cinnflow.config_network import Network
from cinnflow.store.reader import Simulations
from cinnflow.training.fit import fit

SBI = Path(__file__).parents[1] / ".peers/sbi/bin/python"
SCRIPT = Path(__file__).parent / "peers/measure_bimodal_sbi.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, nargs="+", default=[1000, 10_000])
    args = parser.parse_args()
    rows = []
    for name, task in TASKS.items():
        for simulations in args.simulations:
            row: dict[str, object] = {"task": name, "simulations": simulations}
            for coupling in ("affine", "spline"):
                row[f"cinnflow, {coupling}"] = c2st(name, cinnflow_draws(task, simulations, coupling))
            row["sbi, NSF"] = c2st(name, sbi_draws(name, simulations))
            rows.append(row)
            print(row, flush=True)
    print(pd.DataFrame(rows).to_markdown(index=False))


def cinnflow_draws(task: Task, simulations: int, coupling: str) -> np.ndarray:
    """Posterior draws (observations, draws, 2)."""
    theta, x = task.simulations(simulations, seed=1)
    source = Simulations(["a", "b"], np.full(2, -task.bound), np.full(2, task.bound), theta, {"x": x})
    network = Network.model_validate({"summary": {"type": "none"}, "inference": {"coupling": coupling}})
    posterior = fit(source, network=network, training=Training(regime="offline"), seed=1).posterior
    return posterior.sample(task.observed, DRAWS, seed=1)


def sbi_draws(name: str, simulations: int) -> np.ndarray:
    """The same of sbi."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draws.npy"
        _in_sbi("draw", name, str(simulations), str(path))
        return np.load(path)


def c2st(name: str, draws: np.ndarray) -> str:
    """The classifier's accuracy; its code is sbi's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draws.npy"
        np.save(path, draws)
        return _in_sbi("c2st", name, str(path)).splitlines()[-1]


def _in_sbi(*arguments: str) -> str:
    run = subprocess.run([SBI, SCRIPT, *arguments], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"sbi: {run.stderr[-2000:]}")
    return run.stdout


if __name__ == "__main__":
    main()
