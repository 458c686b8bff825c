"""All that changes in a training: what a checkpoint keeps of it, and what is left in the posterior at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from cinnflow.training.batches import Batches, digest_of_arrays
from cinnflow.training.compiled_updates import CompiledUpdates
from cinnflow.training.history import Epoch, History

_WEIGHTS = "weights"
"""Name of all weights, as one vector."""


class State:
    """The state of one training, which begins when this is made.

    Args:
        updates: of the posterior that is trained.
        batches: where batches come from.
        history: the epochs so far.
    """

    def __init__(self, updates: CompiledUpdates, batches: Batches, history: History) -> None:
        self.updates = updates
        self.batches = batches
        self.history = history
        updates.start()
        self.mean_weights = updates.weights.numpy()
        self.best_loss = np.inf
        self.best_epoch = 0
        self.best = self._answering()
        self.lowest_loss = np.inf

    def average(self, share: float) -> None:
        """Takes the weights into their mean, with this share of it, and gives the mean to the posterior."""
        mean = (1.0 - share) * self.mean_weights + share * self.updates.weights.numpy()
        self.mean_weights = mean.astype(self.mean_weights.dtype)
        self.updates.give_weights(self.mean_weights)

    def keep_best(self, epoch: Epoch) -> None:
        """Keeps what the posterior is after an epoch as the best so far."""
        self.best_loss, self.best_epoch = epoch.validation_loss, epoch.epoch
        self.best = self._answering()

    def restore_best(self) -> None:
        """Leaves the best in the posterior."""
        variables = self._variables
        for name, value in self.best.items():
            variables[name].assign(value)
        self.updates.give_weights()

    @property
    def digest(self) -> str:
        """Of the variables as they are."""
        return digest_of_arrays({name: variable.numpy() for name, variable in self._variables.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by name."""
        padded_to = self.batches.padded_to
        return {
            **{f"now/{name}": variable.numpy() for name, variable in self._variables.items()},
            "mean_weights": self.mean_weights,
            **{f"best/{name}": value for name, value in self.best.items()},
            "best_loss": np.array(self.best_loss),
            "best_epoch": np.array(self.best_epoch),
            "lowest_loss": np.array(self.lowest_loss),
            **{f"history/{name}": np.array(column) for name, column in self.history.table().items()},
            **({} if padded_to is None else {"padded_to": np.array(padded_to)}),
        }

    def take_up(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes on from what `arrays` once gave."""
        for name, variable in self._variables.items():
            variable.assign(arrays[f"now/{name}"])
        self.mean_weights = arrays["mean_weights"]
        self.updates.give_weights(self.mean_weights)
        self.best = {name: arrays[f"best/{name}"] for name in self.best}
        self.best_loss, self.best_epoch = float(arrays["best_loss"]), int(arrays["best_epoch"])
        self.lowest_loss = float(arrays["lowest_loss"])
        if "padded_to" in arrays:
            self.batches.padded_to = int(arrays["padded_to"])
        self.history.restore({name: arrays[f"history/{name}"] for name in self.history.table()})

    def _answering(self) -> dict[str, np.ndarray]:
        """What a posterior takes for its answers, by the names of `_variables`.

        That is the mean of the weights, and what layers keep of their batches, as batch normalization does.
        """
        statistics = _named("posterior", self.updates.posterior.non_trainable_variables)
        seen = {name: variable.numpy() for name, variable in statistics.items() if "float" in variable.dtype}
        return {_WEIGHTS: self.mean_weights, **seen}

    @property
    def _variables(self) -> dict[str, keras.Variable]:
        """All that updates change: weights, what dropout and SoftFlow draw next, the optimizer's moments and step."""
        return {
            _WEIGHTS: self.updates.weights,
            **_named("posterior", self.updates.posterior.non_trainable_variables),
            **_named("optimizer", self.updates.optimizer.variables),
        }


def _named(owner: str, variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """Variables by their place and own name: their paths have names that Keras counts up as it makes layers."""
    return {f"{owner}/{place}/{variable.name}": variable for place, variable in enumerate(variables)}
