"""What the tests of networks share."""

from __future__ import annotations

import keras
import numpy as np


def randomize(layer: keras.Layer, seed: int = 1, scale: float = 0.3) -> None:
    """Gives every weight a random value, so that nothing is an identity by its initial zeros."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        fan_in = np.prod(weight.shape[:-1])
        weight.assign(scale * np.sqrt(10.0 / max(10.0, fan_in)) * rng.standard_normal(weight.shape))


def rebuilt(layer: keras.Layer, *shapes) -> keras.Layer:
    """A layer of the same configuration, made anew, with the same weights."""
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    if not copy.built:
        copy.build(*shapes)
    copy.set_weights(layer.get_weights())
    return copy
