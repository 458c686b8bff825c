"""Observed data, as a study's posterior takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cinnflow.inference.observation import read_observation
from cinnflow.simulation.model_file import Model
from cinnflow.store.reader import Simulations


def read_observed(path: Path, simulations: Simulations, model: Model) -> dict[str, np.ndarray]:
    """Observed data, arranged as a model's simulations are; errors as for `read_observation`."""
    return read_observation(
        path,
        simulations.shapes,
        model.read_observation,
        padded=simulations.padded,
        lengths=simulations.length_contexts,
    )
