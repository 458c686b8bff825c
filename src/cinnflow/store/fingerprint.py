"""The fingerprint: a digest of what a simulation means, and of nothing else.

It covers the model's code as parsed, so that comments, docstrings and formatting do not count; of that code, what
build() can reach, so that reading an observation or naming a derived quantity does not count; modules that it imports,
under whatever name, and that are not installed, by their bytes where they are compiled; the bytes of the files that the
simulator declares, of modules beside a Python script among them, and of those that the model file reads as it is
loaded; the options; and the seed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cinnflow.simulation.files_read import IN_BUILD
from cinnflow.simulation.model_file import Model, ModelError
from cinnflow.store.description import SOURCE
from cinnflow.store.model_code import code_digests, digest_of_texts, modules_beside, reached_lines
from cinnflow.store.source import Source

ROUND = "proposal: round"
"""The part that tells the rounds of truncated proposals from each other; the whole prior has none."""

FILE = "file: "
"""What the parts begin with that are the bytes of files."""


@dataclass(frozen=True)
class Fingerprint:
    """What a simulation means, part by part.

    Args:
        model: the model's name, or that of the file that simulations made elsewhere stand in.
        parts: a digest for each part: `code: draw()`, `file: epidemic.py`, `option: n_obs`, `seed`; of simulations made
            elsewhere `source`, `parameters` and `test`.
    """

    model: str
    parts: dict[str, str]

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that stand for all parts."""
        return digest_of_texts(json.dumps(self.parts, sort_keys=True))[:8]

    @property
    def store_name(self) -> str:
        """Name of the store that holds simulations of this meaning."""
        return f"{self.model}-{self.digest}"

    def differences(self, other: Mapping[str, str]) -> list[str]:
        """Names of the parts that differ from another fingerprint's."""
        return sorted(part for part in {*self.parts, *other} if self.parts.get(part) != other.get(part))


def digest_in_name(store_name: str) -> str:
    """The digest in a store's name; before it stands the name that the model had when the store was begun."""
    return store_name.rpartition("-")[2]


def fingerprint(model: Model, options: Mapping[str, Any], seed: int) -> Fingerprint:
    """The fingerprint of a model's simulations under these options and this seed.

    Raises:
        ModelError: when a declared file is not there, or a local module cannot be parsed.
    """
    folder = model.path.parent
    parts = {f"code: {name}": digest for name, digest in code_digests(model.path, ("build",), model.imported).items()}
    for name in sorted(model.generative.simulator.files):
        path = folder / name
        if not path.is_file():
            what = "is a folder: name the files in it" if path.is_dir() else "is not there"
            raise ModelError(f"the simulator in {model.path} declares the file {name!r}, but {path} {what}")
        parts[f"{FILE}{name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in _undeclared(model):
        parts[f"{FILE}{Path(os.path.relpath(path, folder)).as_posix()}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name, value in options.items():
        parts[f"option: {name}"] = digest_of_texts(json.dumps(value, sort_keys=True))
    parts["seed"] = str(seed)
    return Fingerprint(model.name, dict(sorted(parts.items())))


def _undeclared(model: Model) -> set[Path]:
    """Files that simulations depend on without being declared.

    That is what the model file reads as it is loaded, in statements that build() reaches, and the modules that a Python
    script of the simulator's imports from its own folder.
    """
    folder = model.path.parent
    declared = {(folder / name).resolve() for name in model.generative.simulator.files}
    found = {module for script in declared if script.suffix == ".py" for module in modules_beside(script)}
    if model.read:
        lines = {IN_BUILD, *reached_lines(model.path, ("build",))}
        found |= {path for path, at in model.read.items() if at & lines}
    return found - declared


def truncated_fingerprint(prior: Fingerprint, round_number: int, shaping: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint of simulations whose parameters come from the prior as the fits before have truncated it.

    Args:
        prior: the fingerprint of the simulations from the whole prior.
        round_number: which round.
        shaping: what these fits depend on beside the simulations, by name: plain values.
    """
    parts = {f"proposal: {name}": digest_of_texts(json.dumps(value, sort_keys=True)) for name, value in shaping.items()}
    return Fingerprint(prior.model, {**prior.parts, **parts, ROUND: str(round_number)})


def source_fingerprint(source: Source, held_out: int) -> Fingerprint:
    """The fingerprint of simulations made elsewhere: their bytes, what is called what, and which are held out."""
    support = [source.names, source.lower.tolist(), source.upper.tolist()]
    with source.path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return Fingerprint(
        source.name, {"parameters": digest_of_texts(json.dumps(support)), SOURCE: content, "test": str(held_out)}
    )
