"""Networks from a study's configuration."""

from __future__ import annotations

from collections.abc import Callable

import keras

from cinnflow.config import ConfigError
from cinnflow.config_network import InferenceNetwork, ModelFileNetwork, Network
from cinnflow.networks.deep_set import DeepSet
from cinnflow.networks.invertible_network import InvertibleNetwork
from cinnflow.networks.seeds import child_seeds
from cinnflow.networks.set_transformer import SetTransformer
from cinnflow.networks.time_series import TimeSeriesNetwork

_SUMMARY = {"deep_set": DeepSet, "set_transformer": SetTransformer, "time_series": TimeSeriesNetwork}


def build_networks(
    network: Network, num_params: int, seed: int, own_summary: Callable[..., keras.Layer] | None = None
) -> tuple[InvertibleNetwork, keras.Layer | None]:
    """The inference network that a configuration asks for, and its summary network or None.

    Args:
        network: the configuration; where it leaves the regularization to the regime, there is none.
        num_params: number of parameters.
        seed: seed of the initial weights.
        own_summary: what gives the summary network, where the configuration names a class of the model file.

    Raises:
        ConfigError: where that class does not take its settings, or what it gives is no Keras layer.
    """
    inference_seed, summary_seed = child_seeds(seed, 2)
    inference = network.inference
    # Affine couplings of a single parameter only shift and scale it: whatever the data, a normal distribution.
    design = inference.coupling or ("spline" if num_params == 1 else "affine")
    inference_net = InvertibleNetwork(
        num_params,
        inference.num_coupling_layers,
        coupling_design=design,
        coupling_settings=_coupling_settings(inference, design),
        permutation=inference.permutation,
        use_act_norm=inference.use_act_norm,
        use_soft_flow=inference.use_soft_flow,
        seed=inference_seed,
    )
    summary = network.summary
    if summary.type == "none":
        return inference_net, None
    if isinstance(summary, ModelFileNetwork):
        return inference_net, _own(summary, own_summary)
    return inference_net, _SUMMARY[summary.type](**summary.model_dump(exclude={"type"}), seed=summary_seed)


def _own(summary: ModelFileNetwork, make: Callable[..., keras.Layer] | None) -> keras.Layer:
    if make is None:
        raise ConfigError(f"network.summary.type: {summary.type} takes the class of the model file")
    try:
        layer = make(**summary.settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"network.summary: {summary.type} does not take its settings: {error}") from error
    if not isinstance(layer, keras.Layer):
        raise ConfigError(
            f"network.summary.type: {summary.type} must give a Keras layer, and gave a {type(layer).__name__}"
        )
    return layer


def _coupling_settings(inference: InferenceNetwork, design: str) -> dict:
    penalty = inference.kernel_regularizer
    affine = {
        "num_dense": inference.num_dense,
        "dense_args": {
            "units": inference.units,
            "activation": inference.activation,
            "kernel_regularizer": keras.regularizers.L2(penalty) if penalty else None,
        },
        "dropout": bool(inference.dropout_prob),
        "dropout_prob": inference.dropout_prob or 0.0,
        "soft_clamping": inference.soft_clamping,
    }
    spline = affine | inference.model_dump(include={"bins", "default_domain"}, exclude_none=True)
    return {"affine": affine, "spline": spline, "interleaved": {"affine": affine, "spline": spline}}[design]
