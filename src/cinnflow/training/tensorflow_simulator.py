"""A simulator that is written in TensorFlow, and runs inside the compiled updates of online training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cinnflow.arguments import function_of
from cinnflow.simulation.simulator import Simulator

# TensorFlow is imported where something is simulated: a plan reads the model file, and must not wait for it.
if TYPE_CHECKING:
    import tensorflow as tf

LARGEST_SEED = 2**31 - 1

_NOT_FOR_XLA = "Detected unsupported operations when trying to compile graph"
"""What TensorFlow's error begins with where XLA lacks an operation, such as `tf.random.stateless_poisson`."""


class TensorFlowSimulator(Simulator):
    """A TensorFlow function from a batch of parameter vectors to data.

    Online training simulates inside its compiled updates, on the device that trains, where neither prior nor simulator
    has a context, arrays are arranged by cinnflow itself, and XLA can compile the function; everything else calls it by
    itself. (XLA cannot compile `tf.random.stateless_poisson`, `stateless_gamma` and `stateless_binomial` on a CPU.)

    Args:
        simulate: `simulate(theta, seed)` takes parameters (batch_size, parameters), in double precision, and a seed
            (2,) of integers for the `tf.random.stateless_*` functions, where all its randomness comes from. It returns
            a tensor, or a dict of tensors, with a first axis of batch_size.
        files: files that the function reads, beside the model file: their bytes are part of what a simulation means.
    """

    def __init__(
        self,
        simulate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor | Mapping[str, tf.Tensor]],
        files: Sequence[str] = (),
    ) -> None:
        super().__init__(self._simulate_here, batched=True, files=files)
        function_of("simulate", simulate, "theta", "seed")
        self._function = simulate

        self._compiles: bool | None = None

    @cached_property
    def compiled(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor | Mapping[str, tf.Tensor]]:
        """The function `simulate(theta, seed)`, compiled once for each batch size."""
        import tensorflow as tf

        return tf.function(self._function, jit_compile=True)

    @cached_property
    def _as_graph(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor | Mapping[str, tf.Tensor]]:
        import tensorflow as tf

        return tf.function(self._function)

    def compiles(self, theta: np.ndarray) -> bool:
        """Whether XLA can compile the function; where that is not known yet, by simulating with these parameters."""
        if self._compiles is None:
            self._simulate_here(theta, np.random.default_rng(0))
        return bool(self._compiles)

    @staticmethod
    def draw_seed(rng: np.random.Generator) -> np.ndarray:
        """The seed (2,) of one batch."""
        return rng.integers(LARGEST_SEED, size=2, dtype=np.int32)

    def _simulate_here(self, theta: np.ndarray, rng: np.random.Generator) -> Any:
        import tensorflow as tf

        output = self._run(tf.constant(theta, tf.float64), tf.constant(self.draw_seed(rng)))
        if isinstance(output, Mapping):
            return {name: tensor.numpy() for name, tensor in output.items()}
        return output.numpy()

    def _run(self, theta: tf.Tensor, seed: tf.Tensor) -> Any:
        import tensorflow as tf

        if self._compiles is False:
            return self._as_graph(theta, seed)
        try:
            output = self.compiled(theta, seed)
        except tf.errors.InvalidArgumentError as error:
            if _NOT_FOR_XLA not in str(error):
                raise
            self._compiles = False
            return self._as_graph(theta, seed)
        self._compiles = True
        return output
