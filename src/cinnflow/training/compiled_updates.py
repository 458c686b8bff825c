"""Many optimizer updates in one compiled call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from cinnflow.inference.amortized_posterior import AmortizedPosterior

UPDATES_PER_CALL = 50

_PARTS = 8
"""Parts of the gradient whose squares are added up side by side."""

Complete = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]


class CompiledUpdates:
    """Updates of a posterior's weights, up to `UPDATES_PER_CALL` of them in one call of one compiled program.

    A pool of prepared simulations stays where it is; each update gathers its own batch from it. The program depends on
    the shapes of pool and batch alone, so that a shorter last call compiles nothing anew. It is XLA's, but for networks
    with convolutions on a CPU, where TensorFlow itself takes them.

    Several trainings of one posterior take the same program, each after a `start`.

    The optimizer sees all weights as one vector. A program with an update rule for each weight would take several
    times as long to compile, and longer to run. The posterior itself has its weights back after `give_weights`: once an
    epoch, since each of them takes a call into TensorFlow. A gradient that is longer than `largest_gradient` is
    shortened to that length.

    Args:
        posterior: what is trained; its weights are there already.
        optimizer: a Keras optimizer with a learning rate that is a number, in whose place each update has its own.
        largest_gradient: largest norm of a gradient that the optimizer sees.
        complete: makes prepared simulations of each batch that is gathered from the pool, inside the program; or None,
            where the pool holds prepared simulations.
    """

    def __init__(
        self,
        posterior: AmortizedPosterior,
        optimizer: keras.optimizers.Optimizer,
        largest_gradient: float,
        complete: Complete | None = None,
    ) -> None:
        self.posterior = posterior
        self.optimizer = optimizer
        self.largest_gradient = largest_gradient
        self.complete = complete
        self.weights = keras.Variable(self._joined(), name="weights")
        optimizer.build([self.weights])
        self._trained = list(posterior.trainable_variables)
        self._optimizer_at_start = [variable.numpy() for variable in optimizer.variables]
        self._run: Callable[..., tf.Tensor] | None = None

    def made_for(self, posterior: AmortizedPosterior, complete: Complete | None) -> bool:
        """Whether the program trains what may be trained of a posterior by now, on what `complete` makes."""
        now, then = (list(map(id, variables)) for variables in (posterior.trainable_variables, self._trained))
        return now == then and self.complete == complete

    def start(self) -> None:
        """Lets the next updates be the first of a training, from the weights that the posterior has."""
        self.take_weights()
        for variable, value in zip(self.optimizer.variables, self._optimizer_at_start, strict=True):
            variable.assign(value)

    def __call__(self, pool: Mapping[str, tf.Tensor], rows: np.ndarray, learning_rates: np.ndarray) -> np.ndarray:
        """Takes one update for each batch.

        Args:
            pool: simulations, by name, first axis the simulations; prepared, or what `complete` takes.
            rows: rows of the pool that make up each batch (updates, batch size); at most `UPDATES_PER_CALL` batches.
            learning_rates: of each update (updates,).

        Returns:
            The loss of each update (updates,), before it was taken.
        """
        updates = len(rows)
        unused = UPDATES_PER_CALL - updates
        rows = np.pad(rows.astype(np.int32), [(0, unused), (0, 0)])
        learning_rates = np.pad(learning_rates.astype(np.float32), (0, unused))
        # As tensors: another Python number would mean another program.
        arguments = dict(pool), tf.constant(rows), tf.constant(learning_rates), tf.constant(updates)
        if self._run is None:
            self._run = _compiled(self._run_updates, arguments)
        return self._run(*arguments).numpy()[:updates]

    def losses(self, pool: Mapping[str, tf.Tensor], rows: np.ndarray) -> np.ndarray:
        """The loss of each batch (batches,) with the weights as they are; arguments as for a call.

        It takes the program that is compiled already, and then takes its updates back.
        """
        variables = [self.weights, *self.optimizer.variables, *self.posterior.non_trainable_variables]
        before = [tf.identity(variable.value) for variable in variables]
        found = []
        for batch in rows:
            found.append(self(pool, batch[None], np.zeros(1))[0])
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
        return np.array(found)

    def take_weights(self) -> None:
        """Lets the next updates start from the weights that the posterior has."""
        self.weights.assign(self._joined())

    def give_weights(self, weights: np.ndarray | None = None) -> None:
        """Sets the posterior's weights to what the updates so far have made of them, or to others (weights,)."""
        for variable, value in self._separated(self.weights.value if weights is None else tf.constant(weights)):
            variable.assign(value)

    def _run_updates(
        self, pool: dict[str, tf.Tensor], rows: tf.Tensor, learning_rates: tf.Tensor, updates: tf.Tensor
    ) -> tf.Tensor:
        def update(i: tf.Tensor, losses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            self.optimizer.learning_rate.assign(learning_rates[i])
            batch = {name: tf.gather(array, rows[i]) for name, array in pool.items()}
            loss = self._update(batch if self.complete is None else self.complete(batch))
            return i + 1, tf.tensor_scatter_nd_update(losses, [[i]], [loss])

        start = (tf.constant(0), tf.zeros(rows.shape[0], self.posterior.compute_dtype))
        # One after the other, whoever runs the loop: each update begins with the weights of the one before.
        return tf.while_loop(lambda i, _: i < updates, update, start, parallel_iterations=1)[1]

    def _update(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        weights = self.weights.value
        with tf.GradientTape() as tape:
            with keras.StatelessScope(state_mapping=self._separated(weights)) as scope:
                loss = self.posterior.compute_loss(batch, training=True)
                penalties = self.posterior.losses
            total = loss + tf.add_n(penalties) if penalties else loss
        self.optimizer.apply([self._shortened(tape.gradient(total, weights))], [self.weights])
        for variable in self.posterior.non_trainable_variables:  # the states of random generators among them
            if (state := scope.get_current_value(variable)) is not None:
                variable.assign(state)
        return loss

    def _shortened(self, gradient: tf.Tensor) -> tf.Tensor:
        """A gradient (weights,), of a norm of at most `largest_gradient`."""
        # One sum over all squares would first write them down, and take several times as long.
        squares = tf.add_n([tf.square(part) for part in tf.split(gradient, _PARTS)])
        norm = tf.sqrt(tf.reduce_sum(squares))
        factor = self.largest_gradient / tf.maximum(norm, self.largest_gradient)
        # A norm that is no number, or too large for one, makes the loss no number either, and so ends training.
        return gradient * tf.where(tf.math.is_finite(norm), factor, np.nan)

    def _joined(self) -> tf.Tensor:
        """All weights of the posterior, one after the other, then zeros up to a multiple of `_PARTS` (weights,)."""
        weights = tf.concat([tf.reshape(variable, [-1]) for variable in self.posterior.trainable_variables], axis=0)
        return tf.pad(weights, [[0, -weights.shape[0] % _PARTS]])

    def _separated(self, weights: tf.Tensor) -> list[tuple[keras.Variable, tf.Tensor]]:
        """Each variable of the posterior with its own part of the weights, in its own shape."""
        variables = self.posterior.trainable_variables
        sizes = [int(np.prod(variable.shape)) for variable in variables]
        *parts, _ = tf.split(weights, [*sizes, weights.shape[0] - sum(sizes)])
        return [(variable, tf.reshape(part, variable.shape)) for variable, part in zip(variables, parts, strict=True)]


def _compiled(function: Callable[..., tf.Tensor], arguments: tuple) -> Callable[..., tf.Tensor]:
    """A function compiled by XLA; or, where it has convolutions for these arguments and runs on a CPU, by TensorFlow.

    XLA's convolutions took nine to twelve times as long there on images, and twice as long on series.
    """
    by_xla = tf.function(function, autograph=False, jit_compile=True)
    # The graph tells, which `by_xla` keeps: layers of the user's own may convolve wherever they like.
    graph = by_xla.get_concrete_function(*arguments).graph.as_graph_def()
    operations = {node.op for called in graph.library.function for node in called.node_def}
    if any("Conv" in operation for operation in operations) and not tf.config.list_logical_devices("GPU"):
        return tf.function(function, autograph=False)
    return by_xla
