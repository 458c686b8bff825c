"""What a report is made of: files and a few dictionaries, nothing that has to be computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Published:
    """What the literature says of a parameter or a derived quantity.

    Args:
        name: the parameter or quantity, spelt as in the observation's summary.
        value: the published value.
        interval: its interval, where one is given.
        source: where it was published.
    """

    name: str
    value: float
    source: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Observation:
    """Everything that is known of one real observation.

    Args:
        name: the observation's name.
        folder: where its summary.csv stands (columns parameter, mean, sd, q05, q50, q95 and contraction, and data_set
            where there are many), with pairs.png, and <name>.csv and <name>.png of each check.
        published: values to compare with.
        alternative_priors: whether the model file names other priors.
        predicted: whether there is a simulator to predict with.
    """

    name: str
    folder: Path
    published: Sequence[Published] = ()
    alternative_priors: bool = False
    predicted: bool = True


@dataclass(frozen=True)
class Content:
    """Everything that a report shows.

    Args:
        study: the study's name.
        readme: the model's README in Markdown: a title, a paragraph that states the question, then the model in words.
        config: the whole configuration, defaults included.
        manifests: for each split, its manifest with `counts`: the number of simulations by status, "ok" among them.
        provenance: what is needed to reproduce the study, by name; nested mappings are shown as tables of their own.
        diagnostics: folder of <name>.csv and <name>.png.
        summary: summary.csv, one row a parameter.
        observations: the real observations, the most important one first.
        seconds: how long each part of the study took, by name.
        gains: for each split whose round followed on a fit, what that round gained in nats per parameter, and the
            standard error of that.
        labels: what parameters and derived quantities are, with their units, by name.
    """

    study: str
    readme: str
    config: Mapping[str, Any]
    manifests: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    diagnostics: Path
    summary: Path
    observations: Sequence[Observation] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    gains: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
