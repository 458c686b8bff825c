"""What a study wants and where it stands: splits, batches, files. The rules and the command line both ask here."""

from __future__ import annotations

import hashlib
import inspect
import math
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.config import ConfigError, Study, check_study
from cinnflow.config_network import SUMMARY_NETWORKS, ModelFileNetwork
from cinnflow.rounds import Rounds, round_number
from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.model_file import Model, load_model
from cinnflow.simulation.parameter_faults import PRIOR_DRAWS, parameter_faults
from cinnflow.simulation.prior import PriorError
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.store.fingerprint import (
    Fingerprint,
    digest_in_name,
    fingerprint,
    source_fingerprint,
    truncated_fingerprint,
)
from cinnflow.store.layout import Store, StoreError
from cinnflow.store.manifest import Manifest, read_manifest
from cinnflow.store.model_code import code_digest
from cinnflow.store.new_store import what_differs
from cinnflow.store.source import Source, open_source

RESULTS = Path("results")
STORES = RESULTS / "simulations"
A_MOMENT = 2.0
"""Seconds that the study's own parameters may be drawn for before anything is simulated."""


@dataclass(frozen=True)
class Plan:
    """A checked study with its model loaded.

    Args:
        study: the configuration.
        model: the model file, loaded and bound.
        source: the file of simulations made elsewhere; None where they are run.
        fingerprint: of its simulations.
    """

    study: Study
    model: Model
    source: Source | None
    fingerprint: Fingerprint

    @classmethod
    def of(cls, raw: Any, source: str = "the configuration") -> Plan:
        """The plan of a configuration.

        Raises:
            ConfigError, ModelError, SourceError: when one of them cannot be used, before anything has run.
        """
        study = check_study(raw, source)
        for name, path in study.observations.items():
            _check_braces(source, f"observations.{name}", path)
            if not Path(path).is_file():
                raise ConfigError(f"{source}: observations.{name}: got {path!r}; takes the path of a file that exists")
        around = study.simulations.observation
        if around is not None and around not in study.observations and not Path(around).is_file():
            names = ", ".join(study.observations) or "there are none"
            raise ConfigError(
                f"{source}: simulations.observation: got {around!r}; takes a name of `observations` ({names}), or the "
                "path of a file that exists"
            )
        _check_braces(source, "model", study.model or "")
        model = load_model(study.model, study.model_options)
        if isinstance(study.network.summary, ModelFileNetwork):
            _check_own_network(source, study, model)
        if study.simulations.source is not None:
            found = open_source(study.simulations.source, model.generative and model.generative.prior)
            found.splits(study.simulations.test)
            return cls(study, model, found, source_fingerprint(found, study.simulations.test))
        if study.training.simulates and isinstance(model.generative.simulator, ExternalSimulator):
            raise ConfigError(
                f"{source}: training.regime: got {study.training.regime!r}, where training simulates; an external "
                "program takes rounds or offline, which simulate in jobs of their own and keep what is finished"
            )
        if model.generative.simulator.max_length and study.network.summary.type == "none":
            raise ConfigError(
                f"{source}: network.summary.type: got 'none', but the model's data vary in length (max_length); takes "
                "a summary network: deep_set, set_transformer or time_series"
            )
        return cls(study, model, None, fingerprint(model, study.model_options, study.seed))

    @property
    def folder(self) -> Path:
        """Where the study's results stand."""
        return RESULTS / self.study.study

    @property
    def model_path(self) -> str:
        """The model file, as the configuration names it; empty for none."""
        return self.study.model or ""

    @property
    def report(self) -> Path:
        """The study's report."""
        return self.folder / "report.html"

    @property
    def store(self) -> Store:
        """The store of the study's simulations from the whole prior, and of those made elsewhere."""
        return self._store_holding(self.fingerprint)

    def store_of(self, split: str) -> Store:
        """The store that a split stands in."""
        return self._store_holding(self.fingerprint_of(split))

    def _store_holding(self, meaning: Fingerprint) -> Store:
        """The store of simulations of one meaning, which keeps its name where the model's folder has another now."""
        name = meaning.store_name
        if name not in self._digests:
            name = next((found for found, digest in self._digests.items() if digest == meaning.digest), name)
        return Store(STORES / f"{name}.zarr")

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The digests of all stores that were there when the study was planned, by the stores' names."""
        return {path.stem: digest_in_name(path.stem) for path in sorted(STORES.glob("*.zarr"))}

    def fingerprint_of(self, split: str) -> Fingerprint:
        """What a split's simulations mean: with truncated proposals, something else in each round.

        The test split is of the last round, whose posterior it tests.
        """
        number = round_number(self.rounds[-1] if split == "test" and self.rounds else split)
        if number == 0 or not self.study.simulations.truncated:
            return self.fingerprint
        return truncated_fingerprint(self.fingerprint, number, self._shaping)

    @property
    def stores(self) -> list[Store]:
        """All stores of the study's splits."""
        return list(dict.fromkeys(self.store_of(split) for split in self.splits))

    @property
    def around(self) -> Path:
        """The file of the observation that proposals are truncated around."""
        name = self.study.simulations.observation
        assert name is not None
        return Path(self.study.observations.get(name, name))

    @cached_property
    def _shaping(self) -> dict[str, Any]:
        """What the fits depend on that truncate the prior; a larger budget only adds to what they were made with."""
        return {
            "observation": [hashlib.sha256(self.around.read_bytes()).hexdigest(), self.code("read_observation")],
            # Defaults are left out, so that one that is new or changed costs no simulation.
            "network": [self.study.network.model_dump(exclude_defaults=True), self.own_code],
            "training": self.study.training.model_dump(exclude_defaults=True),
        }

    @property
    def rounds(self) -> list[str]:
        """Names of the splits that are trained on, as far as known; none where training simulates by itself."""
        if self.source:
            return ["round-0"]
        return [] if self.study.training.simulates else self.course.known

    @property
    def course(self) -> Rounds:
        """How many rounds there are, and which of them decides on that."""
        return Rounds(self.study.simulations, self.folder / "fit")

    @property
    def splits(self) -> list[str]:
        """Names of all splits."""
        return [*self.rounds, "test"]

    @property
    def prior_split(self) -> str:
        """A split whose parameters stand for the prior."""
        return self.splits[0]

    @property
    def stages(self) -> list[str]:
        """Folders of the study's fits, in their order: one a round with the regime rounds, else a single one."""
        return self.rounds if self.study.training.regime == "rounds" else [""]

    @property
    def newest_fits(self) -> list[Path]:
        """The .keras files, one a member, of the fit that results are computed from."""
        return self.fits(self.stages[-1])

    def fits(self, stage: str) -> list[Path]:
        """The .keras files of the fit at one of the stages."""
        folder = self.folder / "fit" / stage
        return [folder / f"member-{member}" / "network.keras" for member in range(self.study.training.ensemble)]

    @property
    def histories(self) -> list[Path]:
        """What every training of the study has written, from the first round on."""
        return [fit.parent / "history.csv" for stage in self.stages for fit in self.fits(stage)]

    def simulations(self, split: str) -> int:
        """How many simulations the study has of a split: whole batches, unless they were made elsewhere."""
        if self.source:
            return len(self.source.splits(self.study.simulations.test)[split])
        return self.batches(split) * self.study.simulations.batch_size

    def batches(self, split: str) -> int:
        """How many batches the study wants of a split."""
        simulations = self.study.simulations
        if self.source:
            wanted = self.simulations(split)
        else:
            wanted = simulations.test if split == "test" else simulations.per_round
        return math.ceil(wanted / simulations.batch_size)

    def status_chunks(self, split: str) -> list[Path]:
        """Commit records of the batches that the study wants of a split."""
        folder = self.store_of(split).path / split / "status/c"
        return [folder / str(batch) for batch in range(self.batches(split))]

    def manifest_path(self, split: str) -> Path:
        """Where the study's manifest of a split stands."""
        return self.folder / "manifest" / f"{split}.json"

    def manifest(self, split: str) -> Manifest | None:
        """The study's manifest of a split, where there is one of just what the study wants now."""
        path = self.manifest_path(split)
        if not path.exists():
            return None
        try:
            manifest = read_manifest(path)
        except StoreError:
            return None
        wanted = (self.store_of(split).name, self.batches(split), self.study.simulations.batch_size)
        return manifest if (manifest.store, manifest.batches, manifest.batch_size) == wanted else None

    def read(self, split: str) -> Manifest:
        """The study's manifest of a split that is sealed."""
        return read_manifest(self.manifest_path(split))

    def rounded(self) -> list[str]:
        """A line for each budget that is no multiple of the batch size."""
        if self.source:
            return []
        size = self.study.simulations.batch_size
        wanted = {"test": self.study.simulations.test}
        if not self.study.training.simulates:
            wanted["per_round"] = self.study.simulations.per_round
        return [
            f"simulations.{key}: {value} is rounded up to {math.ceil(value / size) * size}, whole batches of {size}"
            for key, value in wanted.items()
            if value % size
        ]

    def simulated_anew(self) -> list[str]:
        """What makes the study simulate anew what older stores hold with another meaning, in lines; or none."""
        for split in self.splits:
            if not self.store_of(split).path.exists():
                differing = what_differs(STORES, self.fingerprint_of(split))
                kept = "is simulated into a new store; the old one stays, and going back finds it again."
                return [*differing, f"{split} {kept}"] if differing else []
        return []

    def check_parameters(self) -> None:
        """Checks, as long as no split is sealed, that there can be a posterior of each parameter.

        Raises:
            PriorError: saying what to mend in the prior.
        """
        if any(self.manifest_path(split).exists() for split in self.splits):
            return
        of = self.source or self.model.generative.prior
        theta = of.theta if isinstance(of, Source) else of(PRIOR_DRAWS, np.random.default_rng(self.study.seed))
        if not self.source:
            of.check_repeatable()
            self._draw_own_parameters()
        faults, _ = parameter_faults(theta, of.names, of.lower, of.upper)
        if faults:
            raise PriorError("; ".join(faults))

    def _draw_own_parameters(self) -> None:
        """Draws the parameters that the study will simulate with, as many as a moment allows.

        One that the prior does not allow would else be found only once its batch runs, after many others, and to mend
        the prior is to simulate anew.
        """
        end = time.monotonic() + A_MOMENT
        for split in self.splits:
            for index in range(self.simulations(split)):
                if time.monotonic() > end:
                    return
                self.model.generative.draw(simulation_seed(self.study.seed, split, index))

    def check_batch_size(self) -> None:
        """Checks that a store already begun has batches of the size that the study asks for.

        Raises:
            ConfigError: saying what to set.
        """
        asked = self.study.simulations.batch_size
        for store in self.stores:
            begun = store.batch_size()
            if begun is not None and begun != asked:
                raise ConfigError(
                    f"simulations.batch_size: got {asked}, but {store.path} already holds batches of {begun}: "
                    f"set simulations.batch_size: {begun} to go on with it (the size changes no result)"
                )

    @property
    def predictive_batch_size(self) -> int:
        """Predictive simulations that one job runs."""
        return min(self.study.simulations.batch_size, self.study.posterior.predictive)

    @property
    def predictive_store(self) -> str:
        """Name of the store of an observation's predictive simulations."""
        return f"predictive-{self.fingerprint.digest}-{self.predictive_batch_size}.zarr"

    @property
    def predictive_batches(self) -> int:
        """Jobs for the predictive simulations of one observation."""
        return math.ceil(self.study.posterior.predictive / self.predictive_batch_size)

    @property
    def own_network(self) -> str | None:
        """The class or function of the model file that gives the summary network, where that is the user's own."""
        summary = self.study.network.summary
        return summary.type if isinstance(summary, ModelFileNetwork) else None

    @property
    def own_code(self) -> str:
        """Digest of the code of such a summary network; empty for one of this package."""
        return self.code(self.own_network) if self.own_network else ""

    @property
    def meaning(self) -> dict[str, Any]:
        """The configuration without what says only how simulations are run: what the report shows and depends on."""
        config = self.study.model_dump()
        for key in ("threads", "timeout", "attempts", "keep_failed"):
            config["simulations"].pop(key, None)
        return config

    @property
    def readme(self) -> Path | None:
        """The model's own README, where it has one."""
        if not self.study.model:
            return None
        path = Path(self.study.model).parent / "README.md"
        return path if path.is_file() else None

    def code(self, *names: str) -> str:
        """Digest of what these functions or values of the model file are; no simulation depends on them."""
        return code_digest(self.model.path, names)


def _check_own_network(source: str, study: Study, model: Model) -> None:
    """Checks that the model file defines the study's summary network, and that it takes its settings."""
    network = study.network.summary
    found = getattr(model.module, network.type, None)
    if not callable(found):
        raise ConfigError(
            f"{source}: network.summary.type: got {network.type!r}; takes {', '.join(SUMMARY_NETWORKS)}, or the "
            f"name of a class that {study.model or 'the model file (there is none)'} defines"
        )
    try:
        if isinstance(found, type):  # a layer, which takes next to no time before it has weights
            found(**network.settings)
        else:  # what it does may take long, and import TensorFlow
            inspect.signature(found).bind(**network.settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: network.summary: {network.type} does not take its settings: {error}") from error


def _check_braces(source: str, key: str, path: str) -> None:
    if {"{", "}"} & set(path):
        raise ConfigError(f"{source}: {key}: got {path!r}; takes a path without braces: Snakemake reads names in them")
