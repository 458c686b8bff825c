"""What a posterior asks of its summary network, which may be any Keras layer of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import keras
import tensorflow as tf

from cinnflow.inference.errors import SummaryNetworkError


def create_weights(network: keras.Layer, shape: tuple[int | None, ...], dtype: str) -> int:
    """Creates a summary network's weights, by calling it, which no layer of a user's own needs a method for.

    Args:
        network: the summary network.
        shape: of one data set (elements, channels).
        dtype: of what it sees.

    Returns:
        The number of summaries.

    Raises:
        SummaryNetworkError: where it does not take them, or does not give a vector of summaries for each data set.
    """
    try:
        summaries = network(tf.zeros((2, *shape), dtype))
    except (ValueError, TypeError) as error:
        raise SummaryNetworkError(
            f"the summary network {type(network).__name__} does not take data sets of shape {shape}: first all "
            f"channels, standardized, then all once more on a logarithmic scale (zero, unless heavy-tailed): {error}"
        ) from error
    for layer in network._flatten_layers():
        if getattr(layer, "use_cudnn", False):
            # On a GPU, Keras's GRU or LSTM takes an operation that XLA does not compile, and no mask with gaps.
            layer.use_cudnn = False
    found = tuple(getattr(summaries, "shape", ()))
    if len(found) != 2 or found[0] != 2:
        raise SummaryNetworkError(
            f"the summary network {type(network).__name__} takes data sets of shape {shape} and must give "
            f"summaries of shape (data sets, summaries): for two data sets it gave {found or summaries!r}"
        )
    return found[1]


def summarize(network: keras.Layer, prepared: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
    """The summaries (data sets, summaries) of prepared data, under their mask where they have one.

    Raises:
        SummaryNetworkError: where there is a mask, and the network takes none.
    """
    given = {"mask": prepared["summary_mask"]} if "summary_mask" in prepared else {}
    if given and "mask" not in inspect.signature(network.call).parameters:
        raise SummaryNetworkError(
            f"the summary network {type(network).__name__} must take a mask, call(x, mask=None): the data "
            "sets differ in size, or have values missing"
        )
    return network(prepared["summary_conditions"], training=training, **given)
