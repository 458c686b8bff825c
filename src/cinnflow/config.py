"""The study's configuration: the one source of defaults, checks and of the JSON schema.

A configuration is read from YAML, checked here before any job starts, and handed on as a frozen `Study`. Nothing
else in the package holds a default of its own.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names each key, what it got and what it takes."""


class Section(BaseModel):
    """What every part of a configuration has in common: no unknown keys, no changes once it is checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


PositiveInt = Annotated[int, Field(ge=1, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Simulations(Section):
    """How many simulations a study wants, and how they are run."""

    rounds: PositiveInt = Field(2, description="rounds of simulations; each adds to the ones before")
    per_round: PositiveInt = Field(2048, description="simulations in a round (rounded up to whole batches)")
    batch_size: PositiveInt = Field(128, description="simulations that one job runs; one chunk of each array")
    test: PositiveInt = Field(512, description="held-out simulations for the diagnostics (rounded up to whole batches)")
    threads: PositiveInt = Field(1, description="simulations that one batch job runs at the same time")
    timeout: PositiveFloat | None = Field(None, description="seconds after which one simulation is ended")
    attempts: PositiveInt = Field(1, description="tries for a simulation that crashes or times out")
    max_failed: Share = Field(0.05, description="share of failed simulations above which a split does not seal")
    predictive: PositiveInt = Field(256, description="posterior predictive simulations for each observation")


class SummaryNetwork(Section):
    """The network that condenses a data set into a vector of learned summary statistics."""

    type: Literal["deep_set", "set_transformer", "time_series", "none"] = "deep_set"
    summary_dim: PositiveInt = 10


class InferenceNetwork(Section):
    """The conditional invertible network; names as in BayesFlow."""

    coupling: Literal["affine"] = "affine"
    num_coupling_layers: PositiveInt = 6
    permutation: Literal["fixed", "learnable"] | None = "fixed"
    use_act_norm: bool = True
    soft_clamping: PositiveFloat = 1.9


class Network(Section):
    """Summary and inference network of a study."""

    summary: SummaryNetwork = SummaryNetwork()
    inference: InferenceNetwork = InferenceNetwork()


class Training(Section):
    """How the network is fitted."""

    regime: Literal["rounds", "offline"] = "rounds"
    epochs: PositiveInt = 100
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-3


class Sbc(Section):
    """Simulation-based calibration."""

    bins: Annotated[int, Field(ge=2, strict=True)] | None = Field(
        None, description="bars of the histogram; null: a divisor of draws + 1, about 25 ranks a bar"
    )


class Losses(Section):
    """Training losses."""

    moving_average: PositiveInt = Field(10, description="epochs that the moving average covers")


class Diagnostics(Section):
    """What is computed from the posterior draws of the held-out simulations."""

    draws: Annotated[int, Field(ge=2, strict=True)] = Field(
        1000, description="posterior draws for each test simulation"
    )
    sbc: Sbc = Sbc()
    losses: Losses = Losses()


class Study(Section):
    """One study: a model, a simulation budget, a network, a training regime, diagnostics and observations."""

    study: str = Field(description="name of the study; its results stand in results/<study>/")
    model: str = Field(description="path of the model file")
    model_options: dict[str, Any] = Field({}, description="keyword arguments for the model file's build()")
    seed: Count = Field(2026, description="seed of every random draw of the study")
    simulations: Simulations = Simulations()
    network: Network = Network()
    training: Training = Training()
    diagnostics: Diagnostics = Diagnostics()
    observations: dict[str, str] = Field({}, description="observed data: a name, and the path of its file")

    @field_validator("study")
    @classmethod
    def _study_is_a_folder_name(cls, name: str) -> str:
        return _folder_name(name, reserved={"simulations"})

    @field_validator("observations")
    @classmethod
    def _observations_are_folder_names(cls, observations: dict[str, str]) -> dict[str, str]:
        return {_folder_name(name): path for name, path in observations.items()}


def _folder_name(name: str, reserved: frozenset[str] | set[str] = frozenset()) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in reserved:
        raise ValueError("a name of letters, digits, '.', '_' and '-' that starts with a letter or digit" + (
            f", other than {', '.join(sorted(reserved))}" if name in reserved else ""))
    return name
