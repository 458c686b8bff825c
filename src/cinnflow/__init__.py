"""cinnflow: amortized Bayesian posteriors from slow simulators, with conditional invertible networks.

Names are imported when they are first used, so that jobs which need no network never load TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

from cinnflow.imports import quick_imports

__version__ = "0.1.0"

_HOME = {
    "Prior": "cinnflow.simulation.prior",
    "Simulator": "cinnflow.simulation.simulator",
    "ExternalSimulator": "cinnflow.simulation.external",
    "TensorFlowSimulator": "cinnflow.training.tensorflow_simulator",
    "ContextGenerator": "cinnflow.simulation.context",
    "GenerativeModel": "cinnflow.simulation.generative_model",
    "DeepSet": "cinnflow.networks.deep_set",
    "SetTransformer": "cinnflow.networks.set_transformer",
    "TimeSeriesNetwork": "cinnflow.networks.time_series",
    "InvertibleNetwork": "cinnflow.networks.invertible_network",
    "AmortizedPosterior": "cinnflow.inference.amortized_posterior",
    "load_posterior": "cinnflow.inference.load",
    "Trainer": "cinnflow.training.trainer",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cinnflow' has no attribute {name!r}")
    with quick_imports():
        found = getattr(importlib.import_module(_HOME[name]), name)
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted(__all__)
