"""The contract that every part of the invertible network keeps."""

from __future__ import annotations

import keras

from cinnflow.arguments import whole_number


class Bijection(keras.Layer):
    """An invertible map of vectors x (..., num_params) to vectors z, given a condition (..., condition_dim) or none.

    A subclass gives the two directions, each with the logarithm of its own Jacobian determinant:

        forward(x, condition)  ->  z = f(x; condition),       log |det dz/dx|   (...,)
        inverse(z, condition)  ->  x = f⁻¹(z; condition),     log |det dx/dz|   (...,)

    All leading axes are batch axes. Those of the condition are broadcast against those of the vectors, so that a
    condition (data sets, 1, condition_dim) serves many vectors (data sets, draws, num_params).

    Args:
        num_params: number of entries of a vector.
    """

    def __init__(self, num_params: int, **kwargs):
        super().__init__(**kwargs)
        self.num_params = whole_number("num_params", num_params)

    def build(self, x_shape, condition_shape=None) -> None:
        """Creates the weights, where there are any."""

    def forward(self, x, condition=None, training: bool = False):
        raise NotImplementedError

    def inverse(self, z, condition=None):
        raise NotImplementedError

    def call(self, x, condition=None, inverse: bool = False, training: bool = False):
        """The image of x and the log-determinant, in either direction."""
        if x.shape[-1] != self.num_params:
            raise ValueError(f"{self.name} takes vectors of {self.num_params} parameters, got shape {tuple(x.shape)}")
        return self.inverse(x, condition) if inverse else self.forward(x, condition, training=training)

    def compute_output_shape(self, x_shape, condition_shape=None):
        return x_shape, x_shape[:-1]

    def get_config(self) -> dict:
        return {**super().get_config(), "num_params": self.num_params}
