"""The study's configuration: the one source of a study's defaults, of checks and of the JSON schema.

A configuration is read from YAML, checked here before any job starts, and handed on as a frozen `Study`. Networks that
are made from Python have the same defaults (a test compares them).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from cinnflow.config_mistakes import in_words
from cinnflow.config_network import Network
from cinnflow.config_section import Count, PlainValue, PositiveFloat, PositiveInt, Section, Share
from cinnflow.errors import PlainError


class ConfigError(PlainError, ValueError):
    """A configuration that cannot be used; the message names each key, what it got and what it takes."""


OF_RUNNING = ("rounds", "per_round", "threads", "timeout", "attempts", "keep_failed", "proposal", "observation")
"""Settings of simulations that are run here; those of a file are all there, and nothing runs."""

SOURCE_BATCH_SIZE = 1024

FEWEST = 3
"""Simulations that training takes at least."""


class RoundsWithStop(Section):
    """Rounds that go on for as long as they pay."""

    max: PositiveInt = Field(description="the most rounds")
    stop_below: PositiveFloat = Field(
        description="nats per parameter by which the held-out log density must rise in a round for another to follow"
    )


def _kind_of_rounds(rounds: Any) -> str:
    return "with_stop" if isinstance(rounds, dict | RoundsWithStop) else "number"


class Simulations(Section):
    """How many simulations a study wants, and how they are run."""

    source: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="an HDF5 or NPZ file of simulations made elsewhere, instead of running any; its last `test` rows "
        "are held out, the others are round-0",
    )
    rounds: Annotated[
        Annotated[PositiveInt, Tag("number")] | Annotated[RoundsWithStop, Tag("with_stop")],
        Discriminator(_kind_of_rounds),
    ] = Field(
        2,
        description="rounds of simulations; each adds to the ones before (regimes rounds and offline). With max and "
        "stop_below (regime rounds): as many as pay",
    )
    per_round: PositiveInt = Field(2048, description="simulations in a round (rounded up to whole batches; likewise)")
    batch_size: PositiveInt = Field(
        128, description=f"simulations that one job runs; one chunk of each array ({SOURCE_BATCH_SIZE} with a source)"
    )
    test: Annotated[int, Field(ge=2, strict=True)] = Field(
        512, description="held-out simulations for the diagnostics (rounded up to whole batches)"
    )
    threads: PositiveInt = Field(1, description="simulations that one batch job runs at the same time")
    timeout: PositiveFloat | None = Field(None, description="seconds after which one simulation is ended")
    attempts: PositiveInt = Field(1, description="tries for a simulation that crashes or times out")
    max_failed: Share = Field(0.05, description="share of failed simulations above which a split does not seal")
    keep_failed: Count = Field(
        0, description="working folders of failed simulations to keep beside the store, of each split"
    )
    observation: str | None = Field(
        None,
        description="where the prior is truncated: around a name of `observations`, or the path of a file (truncated)",
    )
    proposal: Literal["prior", "truncated"] = Field(
        "prior",
        description="where parameters of later rounds come from: the prior, or (regime rounds) the prior truncated to "
        "where the fit to the rounds before sees the posterior of one observation",
    )

    @property
    def most_rounds(self) -> int:
        """How many rounds there may be."""
        return self.rounds.max if isinstance(self.rounds, RoundsWithStop) else self.rounds

    @property
    def stop_below(self) -> float | None:
        """Gain of a round, in nats per parameter, below which none follows; None where their number is fixed."""
        return self.rounds.stop_below if isinstance(self.rounds, RoundsWithStop) else None

    @property
    def truncated(self) -> bool:
        """Whether later rounds come from the truncated prior."""
        return self.proposal == "truncated"

    @model_validator(mode="before")
    @classmethod
    def _rows_of_a_source_come_in_large_batches(cls, simulations: Any) -> Any:
        if isinstance(simulations, dict) and simulations.get("source") is not None:
            return {"batch_size": SOURCE_BATCH_SIZE, **simulations}
        return simulations

    @field_validator(*OF_RUNNING)
    @classmethod
    def _nothing_runs_with_a_source(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("source") is not None:
            raise ValueError("no value beside simulations.source, since no simulation is run")
        return value

    @field_validator("proposal")
    @classmethod
    def _an_observation_tells_where_to_truncate(cls, proposal: str, info: ValidationInfo) -> str:
        if proposal == "truncated" and info.data.get("observation") is None:
            raise ValueError("a simulations.observation beside it, which says where the prior is truncated")
        return proposal

    @model_validator(mode="after")
    def _an_observation_has_an_effect(self) -> Simulations:
        if self.observation is not None and not self.truncated:
            raise ValueError("an observation beside proposal: truncated alone; with the prior it has no effect")
        return self

    @model_serializer(mode="wrap")
    def _without_settings_of_running(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A study with a source survives its own dump, and shows no settings that mean nothing."""
        unused = OF_RUNNING if self.source is not None else ()
        return {key: value for key, value in dump(self).items() if key not in unused}


_ONLY_WITH = {
    "iterations_per_epoch": ("online", "replay"),
    "validation_sims": ("online", "replay"),
    "buffer_capacity": ("replay",),
    "validation_share": ("rounds", "offline"),
}
"""Regimes in which a setting has an effect, where that is not all of them."""


class Training(Section):
    """How the network is fitted; null: by the regime and the number of simulations, in training/defaults.py."""

    regime: Literal["online", "replay", "rounds", "offline"] = Field(
        "rounds",
        description="online: fresh simulations for every update; replay: a buffer of the latest ones; rounds: a fit "
        "after each round, which goes on from the one before; offline: one fit to all rounds. The first two simulate "
        "while they train, and take a Python simulator",
    )
    epochs: PositiveInt | None = Field(
        None, description="largest number of epochs: passes over the simulations, or sets of iterations_per_epoch"
    )
    iterations_per_epoch: PositiveInt | None = Field(None, description="updates in an epoch (online, replay)")
    batch_size: PositiveInt | None = Field(None, description="simulations in one update")
    learning_rate: PositiveFloat | None = Field(
        None, description="first learning rate; it falls to zero along a cosine"
    )
    buffer_capacity: PositiveInt | None = Field(None, description="batches that the buffer holds (replay)")
    validation_share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="share of the simulations held back to find the best weights (rounds, offline)"
    )
    validation_sims: PositiveInt | None = Field(
        None, description="simulations made to find the best weights, and never trained on (online, replay)"
    )
    patience: Count | None = Field(
        None, description="epochs without a lower validation loss after which training stops; 0: never"
    )
    ensemble: PositiveInt = Field(1, description="networks that are trained apart and mixed evenly")

    @property
    def simulates(self) -> bool:
        """Whether training makes its own simulations, instead of reading those of the store."""
        return self.regime in ("online", "replay")

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> Training:
        for name, regimes in _ONLY_WITH.items():
            if getattr(self, name) is not None and self.regime not in regimes:
                raise ValueError(f"{name} with the regime {' or '.join(regimes)} alone, not {self.regime}")
        return self


class Sbc(Section):
    """Simulation-based calibration."""

    bins: Annotated[int, Field(ge=2, strict=True)] | None = Field(
        None, description="bars of the histogram; null: a divisor of draws + 1, about 25 ranks a bar"
    )


class Losses(Section):
    """Training losses."""

    moving_average: PositiveInt = Field(10, description="epochs that the moving average covers at most")


class WithoutSettings(Section):
    """A diagnostic that has no settings."""


class Diagnostics(Section):
    """What is computed from the posterior draws of the held-out simulations."""

    draws: Annotated[int, Field(ge=2, strict=True)] = Field(
        1000, description="posterior draws for each test simulation"
    )
    sbc: Sbc = Sbc()
    recovery: WithoutSettings = WithoutSettings()
    contraction: WithoutSettings = WithoutSettings()
    coverage: WithoutSettings = WithoutSettings()
    log_gamma: WithoutSettings = WithoutSettings()
    tarp: WithoutSettings = WithoutSettings()
    directions: WithoutSettings = WithoutSettings()
    scores: WithoutSettings = WithoutSettings()
    local_calibration: WithoutSettings = WithoutSettings()
    latent: WithoutSettings = WithoutSettings()
    sufficiency: WithoutSettings = WithoutSettings()
    losses: Losses = Losses()
    failures: WithoutSettings = WithoutSettings()


class Posterior(Section):
    """What is computed for each observation."""

    draws: Annotated[int, Field(ge=2, strict=True)] = Field(
        4000, description="posterior draws for each observed data set"
    )
    draws_in_all: PositiveInt = Field(
        2_000_000, description="most draws of one observation's data sets together; many of them get fewer each"
    )
    predictive: PositiveInt = Field(
        256,
        description="simulations with parameters drawn from the posterior: half of them with many draws, for figures "
        "and the verdict, half with one, for the verdict; fewer than 38 give none",
    )


class Study(Section):
    """One study: a model, a simulation budget, a network, a training regime, diagnostics and observations."""

    study: str = Field(description="name of the study; its results stand in results/<study>/")
    model: str | None = Field(description="path of the model file; null with simulations.source")
    model_options: dict[str, PlainValue] = Field({}, description="keyword arguments for the model file's build()")
    seed: Count = Field(2026, description="seed of every random draw of the study")
    simulations: Simulations = Simulations()
    network: Network = Network()
    training: Training = Field(Training(), validate_default=True)
    diagnostics: Diagnostics = Diagnostics()
    posterior: Posterior = Posterior()
    observations: dict[str, str] = Field({}, description="observed data: a name, and the path of its file")

    @model_validator(mode="before")
    @classmethod
    def _a_source_needs_no_model(cls, study: Any) -> Any:
        if not isinstance(study, dict) or study.get("model") is not None:
            return study
        simulations = study.get("simulations")
        elsewhere = isinstance(simulations, dict) and simulations.get("source") is not None
        others = {key: value for key, value in study.items() if key != "model"}
        return {**others, "model": None} if elsewhere else others

    @field_validator("training")
    @classmethod
    def _training_goes_with_the_simulations(cls, training: Training, info: ValidationInfo) -> Training:
        simulations = info.data.get("simulations")
        if simulations is not None and simulations.source is None and not training.simulates:
            first = 1 if training.regime == "rounds" else simulations.most_rounds
            if first * simulations.per_round < FEWEST:
                raise ValueError(f"at least {FEWEST} simulations to train on: raise simulations.per_round")
        if training.simulates and simulations is not None and simulations.source is not None:
            raise ValueError("the regime rounds or offline beside simulations.source, since no simulation is run")
        if simulations is not None and training.regime != "rounds":
            for key, chained in (("proposal", simulations.truncated), ("rounds", simulations.stop_below is not None)):
                if chained:
                    raise ValueError(
                        f"the regime rounds beside this simulations.{key}, which asks for a fit after each round"
                    )
        return training

    @field_validator("model")
    @classmethod
    def _model_is_a_path(cls, model: str | None) -> str | None:
        if model == "":
            raise ValueError("the path of a model file")
        return model

    @field_validator("study")
    @classmethod
    def _study_is_a_folder_name(cls, name: str) -> str:
        return _folder_name(name, frozenset({"simulations"}))

    @field_validator("observations")
    @classmethod
    def _observations_are_folder_names(cls, observations: dict[str, str]) -> dict[str, str]:
        return {_folder_name(name): path for name, path in observations.items()}


def _folder_name(name: str, reserved: frozenset[str] = frozenset()) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError("a name of letters, digits, '.', '_' and '-' that starts with a letter or digit")
    if name in reserved:
        raise ValueError(f"a name other than {', '.join(sorted(reserved))}, which means something else here")
    return name


class _Loader(yaml.SafeLoader):
    """YAML's loader keeps the last of several values of one key; this one refuses them."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if key.value in lines:
                where = f"line {line}" if line == lines[key.value] else f"lines {lines[key.value]} and {line}"
                raise ConfigError(f"the key {key.value} stands twice in one section, {where}: leave one of them out")
            lines[key.value] = line
        return node


def read_raw(path: Path) -> Any:
    """What a configuration file holds, before it is checked.

    Raises:
        ConfigError: when there is no such file, it cannot be read or is not YAML, or a key stands twice in it.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); takes a YAML file in UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error


def check_study(raw: Any, source: str = "the configuration") -> Study:
    """Checks a configuration.

    Args:
        raw: what the YAML file holds.
        source: what to call it in messages.

    Raises:
        ConfigError: naming each key that is wrong, what it got and what it takes.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"{source}: takes keys with values, `study` and `model` at least, got {raw!r}")
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        lines = "\n".join(f"  {in_words(dict(mistake), Study)}" for mistake in error.errors())
        raise ConfigError(f"{source} cannot be used:\n{lines}") from error


def schema() -> str:
    """The JSON schema of configurations, as it stands in workflow/schemas/config.schema.json."""
    return json.dumps(Study.model_json_schema(), indent=2) + "\n"
