"""A posterior before its training: made from a configuration, and tried on data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import keras
import numpy as np

from cinnflow.config_network import Network
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.saving import check_comes_back
from cinnflow.networks.from_config import build_networks


class Parameters(Protocol):
    """What a prior and stored simulations say of their parameters: names and bounds."""

    names: Sequence[str]
    lower: np.ndarray
    upper: np.ndarray


def untrained(
    network: Network, about: Parameters, seed: int, own_summary: Callable[..., keras.Layer] | None
) -> AmortizedPosterior:
    """A posterior with these networks for these parameters, which has seen no data yet; arguments as for `fit`."""
    inference_net, summary_net = build_networks(network, len(about.names), seed, own_summary)
    return AmortizedPosterior(
        inference_net,
        summary_net,
        names=about.names,
        lower=about.lower,
        upper=about.upper,
        summary_loss_fun=network.summary_loss and network.summary_loss.upper(),
    )


def try_on(posterior: AmortizedPosterior, theta: np.ndarray, data: Mapping[str, np.ndarray]) -> None:
    """Checks that an untrained posterior's networks take data, and come back from their file.

    Args:
        posterior: it is adapted to these data.
        theta: parameters (data sets, parameters).
        data: arrays by name, first axis the data sets.

    Raises:
        SummaryNetworkError: for a summary network of the user's own that does not.
    """
    posterior.adapt(theta, data)
    posterior.sample(data, 1, seed=0)
    check_comes_back(posterior)
