"""What Snakemake takes to plan a study of many batches, to find that nothing is left to do, and where that time goes.

Nothing is simulated: the batches of a finished study are written straight into its store, all alike. The columns are
CPU time, which no other load on the machine changes. "Ours" is the share of it, by a profiler, in this project's code.

    python benchmarks/planning.py [--batches 100 1000 10000]
"""

from __future__ import annotations

import argparse
import os
import pstats
import re
import sys
import tempfile
from pathlib import Path

from studies import make_study, run, show, snakemake
from synthetic_store import copy_batch

from cinnflow.config import read_raw
from cinnflow.plan import Plan
from cinnflow.store.description import Description, write_description

MODEL = """
import cinnflow as cf


def draw(rng):
    return rng.normal(size=2)


def build():
    return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"]), cf.Simulator(lambda theta, rng: theta))
"""
SMALL = {
    "network": {"summary": {"type": "none"}, "inference": {"num_coupling_layers": 2}},
    "training": {"epochs": 1},
    "diagnostics": {"draws": 19},
}
BATCH = 4


def main() -> None:
    """Plans studies of each size, finishes them and plans them again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 1000, 10000])
    args = parser.parse_args()
    rows = []
    for batches in args.batches:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder) / "study", batches))
    show("CPU time of Snakemake over the number of batches", rows)


def measure(folder: Path, batches: int) -> dict[str, object]:
    """One line of the table."""
    budget = {"rounds": 1, "per_round": (batches - 10) * BATCH, "test": 10 * BATCH, "batch_size": BATCH}
    make_study(folder, MODEL, simulations=budget, **SMALL)
    everything = ["--cores", str(os.cpu_count())]
    planned, said = snakemake(folder, *everything, "--dry-run")
    assert re.search(rf"^simulate +{batches}$", said, re.MULTILINE), said
    ours = share_of_ours(folder, *everything, "--dry-run")
    fill(folder)
    snakemake(folder, *everything)
    nothing, said = snakemake(folder, *everything)
    assert "Nothing to be done" in said, said
    return {
        "batches": batches,
        "plan (s)": planned.cpu,
        "ms a batch": 1000 * planned.cpu / batches,
        "ours": f"{ours:.1%}",
        "nothing to do (s)": nothing.cpu,
        "ms a batch ": 1000 * nothing.cpu / batches,
    }


def share_of_ours(folder: Path, *arguments: str) -> float:
    """Share of a command's CPU time that is spent in this project's own functions, not in what they call."""
    profile = folder / "profile"
    run(folder, [sys.executable, "-m", "cProfile", "-o", str(profile), "-m", "snakemake", *arguments])
    spent = pstats.Stats(str(profile)).stats.items()
    total = sum(numbers[2] for _, numbers in spent)
    return sum(numbers[2] for (name, *_), numbers in spent if name.startswith(str(folder))) / total


def fill(folder: Path) -> None:
    """Writes every batch that the study wants."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        plan = Plan.of(read_raw(Path("config.yaml")))
        prior = plan.model.generative.prior
        description = Description.of(prior, {"x": (2,)}, BATCH, plan.fingerprint.parts)
        write_description(plan.store, description, plan.store.scratch / "zarr.json")
        plan.store.scratch.rmdir()
        for split in plan.splits:
            copy_batch(plan.store, description, split, plan.batches(split))
    finally:
        os.chdir(before)


if __name__ == "__main__":
    main()
