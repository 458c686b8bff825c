"""Training and drawing on the quickstart, beside the peers, each in an environment of its own.

    python benchmarks/training.py --install          once: installs the peers into .peers/ (4 GB)
    python benchmarks/training.py [--repeats 3]      measures every tool in turn, and prints the tables

Every tool runs the same task on the same machine in the same run; figures are medians over the repeats, and ratios are
cinnflow's figure over the peer's. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import floor
import numpy as np
import pandas as pd

HERE = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parents[1] / ".peers"
TOOLS = {
    "cinnflow": (Path(sys.executable), "measure_cinnflow.py", {}),
    "BayesFlow 1.1.6": (ENVIRONMENTS / "bayesflow1/bin/python", "measure_bayesflow1.py", {}),
    "BayesFlow 2.0.12, TensorFlow": (
        ENVIRONMENTS / "bayesflow2/bin/python",
        "measure_bayesflow2.py",
        {"KERAS_BACKEND": "tensorflow"},
    ),
    "BayesFlow 2.0.12, JAX": (
        ENVIRONMENTS / "bayesflow2/bin/python",
        "measure_bayesflow2.py",
        {"KERAS_BACKEND": "jax"},
    ),
    "sbi 0.27": (ENVIRONMENTS / "sbi/bin/python", "measure_sbi.py", {}),
}
TASKS = {
    "online": list(TOOLS),
    "draws": list(TOOLS),
    "offline": list(TOOLS),
    "quickstart": ["cinnflow", "BayesFlow 1.1.6"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    args = parser.parse_args()
    if args.install:
        for name in ("bayesflow1", "bayesflow2", "sbi"):
            subprocess.run([HERE / f"{name}.sh", ENVIRONMENTS / name], check=True)
        return
    missing = [tool for tool, (python, _, _) in TOOLS.items() if not python.exists()]
    if missing:
        print(f"Not installed, and left out: {'; '.join(missing)}. --install installs the peers.", flush=True)
    for task in args.tasks:
        tools = [tool for tool in TASKS[task] if tool not in missing]
        print(f"\n{task}: medians of {args.repeats}", flush=True)
        print(table(measure(task, tools, args.repeats)).to_markdown(index=False), flush=True)
    computes, of_layers = matrix_product_rate(), layer_product_rate()
    print(
        f"\nAt the speed of a large matrix product here, {computes / 1e9:.0f} GFLOP/s, the tutorial's network would "
        f"take {computes / floor.operations(32):.0f} updates of 32 a second, pass over 100,000 simulations "
        f"{computes / floor.operations(100_000):.2f} times a second, and draw {computes / floor.draw_operations():.3g} "
        f"times a second. At that of its deep set's own products, {of_layers / 1e9:.0f} GFLOP/s, it would take "
        f"{of_layers / floor.operations(32):.0f} updates."
    )


def matrix_product_rate() -> float:
    """Floating-point operations a second of a large matrix product in TensorFlow, which here is faster than NumPy."""
    import tensorflow as tf  # which the measured processes do not wait for

    matrix = tf.random.stateless_normal((2048, 2048), seed=(0, 0))
    return floor.rate(lambda: tf.matmul(matrix, matrix).numpy(), 2 * 2048**3)


def layer_product_rate() -> float:
    """The same of the deep set's products, one after the other: the cores lose time as they share each of them out and
    wait for each other, the more the further they lie apart."""
    import tensorflow as tf

    rows, units, layers = 32 * floor.ELEMENTS, 64, 1000
    kernel = tf.random.stateless_normal((units, units), seed=(0, 0)) / units**0.5

    @tf.function(jit_compile=True)
    def network(x: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(layers):
            x = tf.matmul(x, kernel)
        return x

    x = tf.random.stateless_normal((rows, units), seed=(0, 1))
    return floor.rate(lambda: network(x).numpy(), layers * 2 * rows * units**2)


def measure(task: str, tools: Sequence[str], repeats: int) -> dict[str, list[dict[str, float]]]:
    """Runs one task of each tool in turn, several times over."""
    found: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for _ in range(repeats):
        for tool in tools:
            python, script, environment = TOOLS[tool]
            quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "BENCHMARK_STARTED": str(time.time())}
            run = subprocess.run(
                [python, HERE / script, task],
                env={**os.environ, **quiet, **environment},
                capture_output=True,
                text=True,
            )
            if run.returncode:
                raise SystemExit(f"{tool}, {task}: {run.stderr[-2000:]}")
            found[tool].append(json.loads(run.stdout.splitlines()[-1]))
    return found


def table(found: dict[str, list[dict[str, float]]]) -> pd.DataFrame:
    """Medians of each figure by tool, and cinnflow's advantage in each figure that is a rate or a time."""
    rows = []
    for tool, runs in found.items():
        row: dict[str, object] = {"tool": tool}
        for name in found["cinnflow"][0]:
            values = [run[name] for run in runs if name in run]
            ours = np.median([run[name] for run in found["cinnflow"]])
            if not values:
                continue
            median = float(np.median(values))
            row[name] = f"{median:.3g}"
            if tool != "cinnflow" and name.endswith("/s"):
                row[name] += f" ({ours / median:.1f} x)"
            if tool != "cinnflow" and name in ("seconds", "first update"):
                row[name] += f" ({median / ours:.1f} x)"
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


if __name__ == "__main__":
    main()
