"""Networks from a study's configuration."""

from __future__ import annotations

import keras

from cinnflow import config
from cinnflow.networks.deep_set import DeepSet
from cinnflow.networks.invertible_network import InvertibleNetwork
from cinnflow.networks.mlp import child_seeds
from cinnflow.networks.set_transformer import SetTransformer
from cinnflow.networks.time_series import TimeSeriesNetwork

_SUMMARY = {"deep_set": DeepSet, "set_transformer": SetTransformer, "time_series": TimeSeriesNetwork}


def build_networks(network: config.Network, num_params: int, seed: int) -> tuple[InvertibleNetwork, keras.Layer | None]:
    """The inference network and the summary network, or None for it, that a configuration asks for.

    Args:
        network: the configuration.
        num_params: number of parameters.
        seed: seed of the initial weights.
    """
    inference_seed, summary_seed = child_seeds(seed, 2)
    inference = network.inference
    settings = {"soft_clamping": inference.soft_clamping}
    inference_net = InvertibleNetwork(
        num_params,
        inference.num_coupling_layers,
        coupling_design=inference.coupling,
        coupling_settings=settings,
        permutation=inference.permutation,
        use_act_norm=inference.use_act_norm,
        seed=inference_seed,
    )
    if network.summary.type == "none":
        return inference_net, None
    return inference_net, _SUMMARY[network.summary.type](network.summary.summary_dim, seed=summary_seed)
