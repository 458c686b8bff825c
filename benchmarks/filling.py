"""Core use while a store fills, beside `xargs -P` in the same run.

A simulation burns a second of CPU time. The ideal is simulations x 1 s / cores. `xargs` starts the program of the row
above it and keeps nothing. On a machine that does other work too, read the last column: CPU time over what the
simulations alone take.

    python benchmarks/filling.py [--batches-per-core 10] [--cores 2]
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from pathlib import Path

from studies import Cost, make_study, run, show, snakemake

BATCH = 32
PROGRAM = """
import sys, time
out, seconds = sys.argv[1], float(sys.argv[2])
while time.process_time() < seconds:
    pass
open(out, "w").write("x\\n0\\n")
"""
PRIOR = """
import sys
import time

import cinnflow as cf


def draw(rng):
    return rng.normal(size=2)

"""
FUNCTION = """
def simulate(theta, rng):
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        pass
    return theta + rng.normal(size=2)


def build():
    return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"]), cf.Simulator(simulate))
"""
EXTERNAL = """
def build():
    command = [sys.executable, "-S", "-E", "burn.py", "{out}", str(SECONDS)]
    return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"]), cf.ExternalSimulator(command, out="x.csv"))
"""


def main() -> None:
    """Fills two stores and runs xargs, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches-per-core", type=int, default=10)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU time of a simulation")
    args = parser.parse_args()
    simulations = args.batches_per_core * args.cores * BATCH
    ideal = Cost(simulations * args.seconds / args.cores, simulations * args.seconds)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, simulator in (("a Python function", FUNCTION), ("an external program", EXTERNAL)):
            model = f"{PRIOR}\nSECONDS = {args.seconds}\n{simulator}"
            budget = {"rounds": 1, "per_round": simulations, "batch_size": BATCH, "test": BATCH}
            study = make_study(Path(folder) / name, model, simulations=budget)
            (study / "burn.py").write_text(PROGRAM)
            manifest = "results/benchmark/manifest/round-0.json"
            rows.append(row(f"cinnflow, {name}", snakemake(study, "--cores", str(args.cores), manifest)[0], ideal))
        burn = [sys.executable, "-S", "-E", "burn.py", "out-{}", str(args.seconds)]
        numbers = "\n".join(map(str, range(simulations)))
        xargs = ["xargs", "-P", str(args.cores), "-I", "{}", *burn]
        rows.append(row("xargs -P, the same program", run(study, xargs, numbers)[0], ideal))
    batches = math.ceil(simulations / BATCH)
    show(f"{simulations} simulations of {args.seconds:g} s in {batches} batches, {args.cores} cores", rows)


def row(name: str, cost: Cost, ideal: Cost) -> dict[str, object]:
    """One line of the table."""
    return {
        "": name,
        "wall time (s)": cost.wall,
        "over the ideal": f"{cost.wall / ideal.wall:.3f}",
        "CPU time (s)": cost.cpu,
        "over the simulations'": f"{cost.cpu / ideal.cpu:.3f}",
    }


if __name__ == "__main__":
    main()
