"""What each diagnostic costs at 20 parameters, 2,000 test simulations and 1,000 draws: CPU time and peak memory.

    python benchmarks/diagnostics.py

Each runs as the rule runs it, in a process of its own that reads the draws artifact and writes a table and a figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cinnflow.inference.draws import Draws, write_draws

NAMES = ["sbc", "recovery", "contraction", "coverage", "log_gamma", "tarp", "directions", "scores", "latent"]


def main() -> None:
    """Prints one line for each diagnostic."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, default=20)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="folder for the tables and figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        artifact, out = Path(temporary) / "test.zarr", args.out or Path(temporary)
        write_draws(artifact, gaussian(args.parameters, args.test, args.draws))
        print(f"{'diagnostic':<14}{'CPU (s)':>9}{'wall (s)':>10}{'peak (MiB)':>12}")
        for name in NAMES:
            cpu, wall, peak = run(name, artifact, out)
            print(f"{name:<14}{cpu:>9.1f}{wall:>10.1f}{peak:>12.0f}", flush=True)


def gaussian(parameters: int, test: int, draws: int) -> Draws:
    """Exact posteriors of theta ~ N(0, 1) from x ~ N(theta, 0.5²), in each parameter."""
    rng = np.random.default_rng(0)
    truths = rng.normal(size=(test, parameters))
    mean, sd = (truths + 0.5 * rng.normal(size=truths.shape)) / 1.25, np.sqrt(0.2)
    values = mean[:, None] + sd * rng.normal(size=(test, draws, parameters))
    names = [f"parameter_{index}" for index in range(parameters)]
    latent = (truths - mean) / sd
    return Draws(names, parameters, values, truths, rng.normal(size=test), latent, mean, ["one.keras"])


def run(name: str, artifact: Path, out: Path) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak memory (MiB) of one diagnostic's step."""
    step = [sys.executable, "-m", "cinnflow.steps.diagnose", name, "--draws", str(artifact)]
    process = subprocess.Popen([*step, "--table", str(out / f"{name}.csv"), "--figure", str(out / f"{name}.png")])
    start = time.monotonic()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name} failed")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
