"""Simulations that are made inside the compiled updates: ahead of them, the prior draws alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.training.batches import Arrays
from cinnflow.training.tensorflow_simulator import TensorFlowSimulator


@dataclass(frozen=True)
class SimulationInside:
    """What becomes of a batch whose simulator is a TensorFlow function, in the order of the methods.

    A batch has the parameters and the seed that it would have if it were simulated ahead. Two of the same model and
    posterior are equal: what is compiled for one of them serves the other.

    Args:
        model: with a `TensorFlowSimulator` that XLA can compile, and without contexts.
        posterior: whose networks see the simulations; adapted already.
    """

    model: GenerativeModel
    posterior: AmortizedPosterior

    @staticmethod
    def takes(model: object) -> bool:
        """Whether a model can be simulated in this way."""
        return (
            isinstance(model, GenerativeModel)
            and isinstance(model.simulator, TensorFlowSimulator)
            and model.prior.context_generator.empty
            and model.simulator.compiles(model.prior(1, np.random.default_rng(0)))
        )

    def draw(self, batch_size: int, rng: np.random.Generator) -> Arrays:
        """Ahead: parameters of a batch, and its seed once for each of them."""
        theta = self.model.prior(batch_size, rng)
        return {"parameters": theta, "seed": np.tile(self.model.simulator.draw_seed(rng), (batch_size, 1))}

    def configure(self, drawn: Mapping[str, np.ndarray]) -> Arrays:
        """Ahead: nothing to arrange yet.

        Raises:
            ValueError: for parameters outside the posterior's bounds.
        """
        self.posterior.transform.check(drawn["parameters"], self.posterior.names)
        return dict(drawn)

    def prepare(self, arrays: Arrays) -> dict[str, tf.Tensor]:
        """Ahead: the same as tensors."""
        return {name: tf.constant(array) for name, array in arrays.items()}

    def __call__(self, drawn: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Inside an update: simulates a batch and prepares it for the networks.

        Finite simulations stand in for those that are not. Where none is finite, neither is the loss.
        """
        theta = drawn["parameters"]
        data = self.model.simulator.compiled(theta, drawn["seed"][0])
        arrays = {"parameters": theta, **self.posterior.configurator(data)}
        count = theta.shape[0]
        finite = tf.reduce_all(
            [
                tf.reduce_all(tf.math.is_finite(tf.reshape(tf.cast(array, tf.float64), [count, -1])), axis=1)
                for array in arrays.values()
            ],
            axis=0,
        )
        finite_first = tf.argsort(tf.cast(~finite, tf.int32), stable=True)
        number = tf.maximum(tf.math.count_nonzero(finite, dtype=tf.int32), 1)
        rows = tf.gather(finite_first, tf.range(count) % number)
        return self.posterior.prepare({name: tf.gather(array, rows) for name, array in arrays.items()})
