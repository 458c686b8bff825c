"""A training pass over a store that does not fit into memory, beside the same from a numpy memmap, and its peak memory.

A pass reads every simulation once, in a random order of chunks that are shuffled sixteen at a time, and sums batches
of 256: what a training epoch is without a network. The memmap is a file of theta and one of the data, as they are and
without checks; the store is read as training reads it, every chunk compared with its digest. Each kind of pass runs
twice in a process of its own, and the second is told, which finds as much in the system's cache as fits there.

    python benchmarks/streaming.py [--simulations 1000000] [--floats 100] [--limit 1000] [--train 2000]

With --limit the passes run in so many megabytes of address space, which the store may be several times as large as.
With --train, the step of rule `train` then fits a network for one epoch with so many megabytes, and its peak is told;
for a hard limit start all of this in a control group, `systemd-run --user --scope -p MemoryMax=2G python ...`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from studies import run, show
from synthetic_store import describe, megabytes, synthetic_batches, write_store

from cinnflow.config import Training
from cinnflow.config_network import Network
from cinnflow.store.layout import Store
from cinnflow.store.manifest import read_manifest
from cinnflow.store.stored_simulations import StoredSimulations

CHUNK, CHUNKS_AT_ONCE, BATCH = 1024, 16, 256

Read = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""From the number of a chunk to its parameters (simulations, parameters) and data (simulations, floats)."""


def main() -> None:
    """Writes the simulations both ways and starts each kind of pass, or is one of these processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1_000_000, help="rounded up to whole chunks of 1024")
    parser.add_argument("--floats", type=int, default=100, help="data of one simulation")
    parser.add_argument("--limit", type=int, help="megabytes of address space for each pass")
    parser.add_argument("--train", type=int, help="megabytes for one epoch of training, which is left out without")
    parser.add_argument("--pass", choices=PASSES, dest="kind", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kind:
        run_passes(PASSES[args.kind](args.folder), -(-args.simulations // CHUNK), args.limit)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(args, Path(folder))


def compare(args: argparse.Namespace, folder: Path) -> None:
    """Prints the table of all kinds of pass over the same simulations."""
    chunks = -(-args.simulations // CHUNK)
    start = time.process_time()
    manifest = write_store(store_in(folder), chunks, args.floats, CHUNK)
    manifest_in(folder).parent.mkdir()
    manifest_in(folder).write_text(manifest.text())
    written = time.process_time() - start
    write_memmaps(folder, chunks, args.floats)
    rows = []
    for kind in PASSES:
        command = [sys.executable, __file__, "--pass", kind, "--folder", str(folder)]
        options = ["--simulations", str(args.simulations), *(["--limit", str(args.limit)] if args.limit else [])]
        _, said = run(folder, [*command, *options])
        rows.append({"": kind, **json.loads(said.splitlines()[-1])})
    for row in rows:
        row["CPU time over the memmap's"] = row["CPU time (s)"] / rows[0]["CPU time (s)"]
    size = megabytes(store_in(folder).path)
    show(
        f"A pass over {chunks * CHUNK} simulations x {args.floats} floats: {size:.0f} MB, written and sealed in "
        f"{written:.1f} s of CPU time" + (f"; passes limited to {args.limit} MB" if args.limit else ""),
        rows,
    )
    if args.train:
        show(f"One epoch of training with {args.train} MB", [train(folder, args.train)])


def train(folder: Path, memory: int) -> dict[str, object]:
    """One line about the step of rule `train`, in a process of its own."""
    network = Network.model_validate({"summary": {"type": "none"}, "inference": {"num_coupling_layers": 2}})
    training = Training.model_validate({"regime": "offline", "epochs": 1, "batch_size": BATCH})
    command = [sys.executable, "-m", "cinnflow.steps.train", "--stores", str(store_in(folder).path.parent)]
    command += ["--manifests", str(manifest_in(folder)), "--meaning", store_in(folder).name, "--model=", "--options={}"]
    command += ["--network", network.model_dump_json(), "--training", training.model_dump_json(), "--seed", "1"]
    command += ["--member", "0", "--threads", "2", "--memory", str(memory), "--code=", "--timeout", "null"]
    (folder / "fit/member-0").mkdir(parents=True)
    command += ["--fit", str(folder / "fit/member-0/network.keras"), "--history", str(folder / "fit/member-0/h.csv")]
    cost, _ = run(folder, command)
    about = json.loads((folder / "fit/member-0/training.json").read_text())
    return {
        "streamed": about["streamed"],
        "wall time (s)": cost.wall,
        "CPU time (s)": cost.cpu,
        "peak memory (MB)": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000,
    }


def run_passes(read: Read, chunks: int, limit: int | None) -> None:
    """Passes twice over all chunks, and prints what the second pass cost."""
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit * 10**6, limit * 10**6))
    for number in range(2):
        wall, cpu, simulations, total = time.perf_counter(), time.process_time(), 0, 0.0
        for theta, x in batches(read, chunks, np.random.default_rng(number)):
            simulations, total = simulations + len(theta), total + float(theta.sum() + x.sum())
        cost = {"wall time (s)": time.perf_counter() - wall, "CPU time (s)": time.process_time() - cpu}
    assert simulations == chunks * CHUNK and np.isfinite(total)
    cost["peak memory (MB)"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    sys.stdout.write(json.dumps(cost) + "\n")


def batches(read: Read, chunks: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parameters and data of each batch of one pass."""
    order = rng.permutation(chunks)
    for start in range(0, chunks, CHUNKS_AT_ONCE):
        parts = [read(int(chunk)) for chunk in order[start : start + CHUNKS_AT_ONCE]]
        theta, x = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        rows = rng.permutation(len(theta))
        for first in range(0, len(rows), BATCH):
            chosen = rows[first : first + BATCH]
            yield theta[chosen], x[chosen]


def from_memmap(folder: Path) -> Read:
    """Blocks of two plain files, as large as the store's chunks."""
    theta, x = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("theta", "x"))
    return lambda chunk: tuple(array[chunk * CHUNK : (chunk + 1) * CHUNK] for array in (theta, x))


def from_store(folder: Path) -> Read:
    """Chunks of the store."""
    stored = StoredSimulations(store_in(folder).path.parent, [read_manifest(manifest_in(folder))])

    def read(chunk: int) -> tuple[np.ndarray, np.ndarray]:
        simulations = stored.read(chunk)
        return simulations.theta, simulations.data["x"]

    return read


PASSES: dict[str, Callable[[Path], Read]] = {"numpy memmap": from_memmap, "the store": from_store}


def write_memmaps(folder: Path, chunks: int, floats: int) -> None:
    """The same simulations as two plain files."""
    shape = {"theta": (chunks * CHUNK, 2), "x": (chunks * CHUNK, floats)}
    files = {name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", shape=shape[name]) for name in shape}
    for number, columns in enumerate(synthetic_batches(describe(CHUNK, {"x": [floats]}), chunks)):
        rows = slice(number * CHUNK, (number + 1) * CHUNK)
        files["theta"][rows], files["x"][rows] = columns["theta"], columns["data/x"]
    for file in files.values():
        file.flush()


def store_in(folder: Path) -> Store:
    """The store of a benchmark's folder."""
    return Store(folder / "simulations" / "synthetic-00000000.zarr")


def manifest_in(folder: Path) -> Path:
    """The manifest of that store's one split."""
    return folder / "manifest" / "round-0.json"


if __name__ == "__main__":
    main()
