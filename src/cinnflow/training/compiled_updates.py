"""Many optimizer updates in one compiled call."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from cinnflow.inference.amortized_posterior import AmortizedPosterior

UPDATES_PER_CALL = 50


class CompiledUpdates:
    """Updates of a posterior's weights, up to `UPDATES_PER_CALL` of them in one call of one compiled program.

    A pool of prepared simulations stays where it is; each update gathers its own batch from it. The program depends on
    the shapes of pool and batch alone, so that a shorter last call compiles nothing anew.

    Args:
        posterior: what is trained; its weights are there already.
        optimizer: a Keras optimizer.
    """

    def __init__(self, posterior: AmortizedPosterior, optimizer: keras.optimizers.Optimizer) -> None:
        self.posterior = posterior
        self.optimizer = optimizer
        optimizer.build(posterior.trainable_variables)

    def __call__(self, pool: Mapping[str, tf.Tensor], rows: np.ndarray) -> np.ndarray:
        """Takes one update for each batch.

        Args:
            pool: prepared simulations, by name, first axis the simulations.
            rows: rows of the pool that make up each batch (updates, batch size); at most `UPDATES_PER_CALL` batches.

        Returns:
            The loss of each update (updates,), before it was taken.
        """
        updates, batch_size = rows.shape
        padded = np.zeros((UPDATES_PER_CALL, batch_size), np.int32)
        padded[:updates] = rows
        # As tensors: another Python number would mean another program.
        return self._run(dict(pool), tf.constant(padded), tf.constant(updates))[:updates].numpy()

    @tf.function(autograph=False, jit_compile=True)
    def _run(self, pool: dict[str, tf.Tensor], rows: tf.Tensor, updates: tf.Tensor) -> tf.Tensor:
        def update(i: tf.Tensor, losses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = {name: tf.gather(array, rows[i]) for name, array in pool.items()}
            loss = self._update(batch)
            return i + 1, tf.tensor_scatter_nd_update(losses, [[i]], [loss])

        start = (tf.constant(0), tf.zeros(rows.shape[0], self.posterior.compute_dtype))
        return tf.while_loop(lambda i, _: i < updates, update, start)[1]

    def _update(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        variables = self.posterior.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.posterior.compute_loss(batch, training=True)
            total = loss + tf.add_n(self.posterior.losses) if self.posterior.losses else loss
        self.optimizer.apply(tape.gradient(total, variables), variables)
        return loss
