"""A small study in a folder of its own, and the real snakemake in it."""

from __future__ import annotations

import copy
import itertools
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from forking import Forks

PROJECT = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds that any one command may take, on however busy a machine."""


def _in_turn() -> Iterator[Forks]:
    """A study's runs see sets of text in different orders: no plan may depend on that."""
    yield from itertools.cycle([Forks(hash_seed=1), Forks(hash_seed=2)])


_FORKS = _in_turn()

OF_DRAWS = [
    "sbc",
    "recovery",
    "contraction",
    "coverage",
    "log_gamma",
    "tarp",
    "directions",
    "scores",
    "latent",
    "sufficiency",
    "local_calibration",
]
OF_OBSERVATION = ["infer", "pairs", "misspecification", "sensitivity", "predict", "predictive"]

MODEL = '''"""A point that is seen with noise: its posterior is known."""

import os
import time

import numpy as np

import cinnflow as cf

NOISE = 0.5


def draw(rng):
    return rng.normal(size=2)


def simulate(theta, rng):
    starts = os.environ.get("STARTS")
    if starts:
        with open(starts, "a") as file:
            file.write(float(theta[0]).hex() + "\\n")
    time.sleep(float(os.environ.get("PAUSE", "0")))
    return {"x": theta + NOISE * rng.normal(size=2)}


def read_observation(path):
    return {"x": np.loadtxt(path)}


alternative_priors = {"wider": lambda theta: theta["a"] ** 2 / 4}


def build(scale=1.0):
    return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"]), cf.Simulator(simulate))
'''
CONFIG: dict[str, Any] = {
    "study": "small",
    "model": "models/point/model.py",
    "simulations": {"rounds": 2, "per_round": 8, "batch_size": 4, "test": 8},
    "network": {"summary": {"type": "none"}, "inference": {"num_coupling_layers": 1, "num_dense": 1}},
    "training": {"epochs": 1, "batch_size": 4},
    "diagnostics": {"draws": 19},
    "posterior": {"draws": 20, "predictive": 4},
    "observations": {"first": "data/first.txt"},
}


@dataclass(frozen=True)
class Run:
    """How a snakemake ended: exit code, all that it said, and its jobs by rule (`all` left out)."""

    code: int
    output: str
    jobs: Counter[str]


class Workflow:
    """A copy of this project with a small study in it.

    Args:
        folder: where it stands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / CONFIG["model"]
        self.source = folder / "src/cinnflow"
        self.results = folder / "results/small"
        self.observation = folder / "data/first.txt"

    @classmethod
    def create(cls, folder: Path) -> Workflow:
        """The project as it stands, with the small study as its default."""
        unwanted = shutil.ignore_patterns("__pycache__")
        for name in ("workflow", "src"):
            shutil.copytree(PROJECT / name, folder / name, ignore=unwanted)
        shutil.copy(PROJECT / "Snakefile", folder)
        (folder / "profiles").symlink_to("workflow/profiles")
        new = cls(folder)
        for path, text in ((new.model, MODEL), (new.observation, "0.3 -0.2\n")):
            path.parent.mkdir(parents=True)
            path.write_text(text)
        new.configure()
        return new

    def copy(self, folder: Path) -> Workflow:
        """Everything at another place, with the times of all files."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workflow(folder)

    def configure(self, file: str = "config.yaml", **changes: Any) -> str:
        """Writes the small study with other settings into a file: `simulations__rounds=3`. Returns the file's name."""
        config = copy.deepcopy(CONFIG)
        for key, value in changes.items():
            *sections, last = key.split("__")
            section = config
            for name in sections:
                section = section.setdefault(name, {})
            section[last] = value
        (self.folder / file).write_text(yaml.safe_dump(config, sort_keys=False))
        return file

    def edit(self, path: Path, old: str, new: str) -> None:
        """Replaces one text in a file, which must be there."""
        text = path.read_text()
        assert old in text, f"{old!r} is not in {path}"
        path.write_text(text.replace(old, new))

    @property
    def stores(self) -> list[Path]:
        """All stores, the oldest first."""
        return sorted((self.folder / "results/simulations").glob("*.zarr"), key=lambda path: path.stat().st_ctime)

    @property
    def manifests(self) -> list[str]:
        """Targets that stand for all that goes before training."""
        config = yaml.safe_load((self.folder / "config.yaml").read_text())
        splits = [f"round-{number}" for number in range(config["simulations"]["rounds"])]
        return [f"results/{config['study']}/manifest/{split}.json" for split in [*splits, "test"]]

    def start(self, *arguments: str, **environment: str) -> Running:
        """Starts `snakemake --cores 2`."""
        return Running(self.folder, arguments, environment)

    def run(self, *arguments: str, **environment: str) -> Run:
        """Runs snakemake to its end, whatever that is."""
        return self.start(*arguments, **environment).end()

    def succeed(self, *arguments: str, **environment: str) -> Counter[str]:
        """Runs snakemake, which must succeed: the jobs that ran."""
        run = self.run(*arguments, **environment)
        assert run.code == 0, run.output
        return run.jobs

    def plan(self, *arguments: str) -> Counter[str]:
        """Jobs that snakemake would run now."""
        return self.succeed("--dry-run", *arguments)


class Running:
    """A snakemake in a process group of its own, which all its descendants can be told by.

    Args:
        folder: where it runs.
        arguments: what stands behind `snakemake --cores 2`.
        environment: variables for it and its jobs.
    """

    def __init__(self, folder: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
        # A file and not a pipe: jobs that outlive a killed snakemake would keep a pipe open.
        self._output = tempfile.NamedTemporaryFile()  # noqa: SIM115
        self._process = next(_FORKS).start(
            folder, ["--cores", "2", *arguments], {**inherited, **environment}, self._output.name
        )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether snakemake itself still runs."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has said so far."""
        # Its place in the file is that of the processes that write.
        return os.pread(self._output.fileno(), os.fstat(self._output.fileno()).st_size, 0).decode()

    def signal(self, number: int, group: bool = False) -> None:
        """Sends a signal to snakemake alone, or to its process group."""
        if self.alive:
            (os.killpg if group else os.kill)(self.pid, number)

    def end(self) -> Run:
        """Waits for snakemake to end by itself."""
        code = self._process.wait(PATIENCE)
        output = self.output
        jobs = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", output, re.MULTILINE))
        if "This was a dry-run" in output:
            table = output.split("Job stats:\n", 1)[1].split("\ntotal ", 1)[0]
            jobs = Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)})
        del jobs["all"]
        return Run(code, output, jobs)


def content(folder: Path, leave_out: tuple[str, ...] = ("seconds", "attempts")) -> dict[str, bytes]:
    """All files of a folder by their paths, without arrays that may differ from run to run."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if not set(leave_out) & set(path.relative_to(folder).parts[:-1])
    }
