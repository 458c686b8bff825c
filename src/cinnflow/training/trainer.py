"""The trainer: four regimes of simulation-based training, by the names that BayesFlow gave them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.configurator import CONFIGURED, Configurator, conditions_of
from cinnflow.networks.mlp import child_seeds
from cinnflow.training.batches import InMemoryBatches
from cinnflow.training.epochs import Batches, Epochs
from cinnflow.training.history import Epoch, History
from cinnflow.training.simulated_batches import Arrays, OnlineBatches, ReplayBatches, finite_rows, pad_and_stack

log = logging.getLogger(__name__)

GenerativeModel = Callable[[int, np.random.Generator], Mapping[str, Any]]

_PILOT_SIMULATIONS = 1024


class Trainer:
    """Trains an amortized posterior on a generative model, or on simulations that are there already.

    Args:
        amortizer: the posterior to train. Its standardization is taken from the first simulations it sees.
        generative_model: generative_model(batch_size, rng) gives a dict with prior_draws (batch_size, parameters) and
            sim_data, an array or a dict of arrays, and contexts by a GenerativeModel's keys where there are any; needed
            for all but `train_offline`.
        configurator: turns that dict into one of parameters, summary_conditions, summary_mask and direct_conditions; by
            default sim_data and contexts are arranged as `Configurator` does.
        default_lr: first learning rate; it falls to zero along a cosine over all updates of one call.
        history_path: a CSV file that is rewritten after each epoch; or None.
        on_epoch: called after each epoch; or None.
        seed: seed of simulations, order of batches and validation split.

    Reference:
        Radev et al. (2020), BayesFlow, arXiv:2003.06281.
    """

    def __init__(
        self,
        amortizer: AmortizedPosterior,
        generative_model: GenerativeModel | None = None,
        configurator: Callable[[Mapping[str, Any]], Arrays] | None = None,
        default_lr: float = 2e-3,
        history_path: str | Path | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        seed: int = 0,
    ) -> None:
        self.amortizer = amortizer
        self.generative_model = generative_model
        self.configurator = configurator
        self.default_lr = default_lr
        self.history_path = history_path
        self.on_epoch = on_epoch
        self.seed = seed
        self.trainings = 0

    def train_online(
        self, epochs: int, iterations_per_epoch: int, batch_size: int, validation_sims: int | Mapping | None = None
    ) -> History:
        """Trains on fresh simulations alone, each used once.

        Args:
            epochs: number of epochs.
            iterations_per_epoch: updates in each.
            batch_size: simulations in each update.
            validation_sims: simulations for the validation loss, or how many to make; then the best weights are kept.

        Returns:
            The history of this training.
        """
        batches = self._simulated(OnlineBatches, batch_size, iterations_per_epoch)
        return self._train(batches, epochs, self._validation(validation_sims, batch_size))

    def train_experience_replay(
        self,
        epochs: int,
        iterations_per_epoch: int,
        batch_size: int,
        buffer_capacity: int = 1000,
        validation_sims: int | Mapping | None = None,
    ) -> History:
        """Trains on batches drawn at random from a buffer of the latest simulations.

        Args:
            epochs: number of epochs.
            iterations_per_epoch: updates in each, and fresh batches that go into the buffer.
            batch_size: simulations in each update.
            buffer_capacity: batches in the buffer.
            validation_sims: as for `train_online`.

        Returns:
            The history of this training.
        """
        batches = self._simulated(ReplayBatches, batch_size, iterations_per_epoch, capacity=buffer_capacity)
        return self._train(batches, epochs, self._validation(validation_sims, batch_size))

    def train_rounds(
        self,
        rounds: int,
        sim_per_round: int,
        epochs: int,
        batch_size: int,
        validation_sims: int | Mapping | None = None,
        patience: int | None = None,
    ) -> list[History]:
        """Trains in rounds; each adds fresh simulations from the prior to all before, and goes on from its weights.

        The simulations of the next round are made while a round trains.

        Args:
            rounds: number of rounds.
            sim_per_round: simulations that each adds.
            epochs: passes over all simulations so far, in each round.
            batch_size: simulations in each update.
            validation_sims: as for `train_online`.
            patience: epochs without a lower validation loss after which a round ends; None: never.

        Returns:
            The history of each round.
        """
        histories: list[History] = []
        simulations: list[Arrays] = []
        validation = None

        def simulate(number: int) -> list[Mapping[str, Any]]:
            return self._model_batches(seed, sim_per_round, min(batch_size, sim_per_round), number)

        seed = self._seed("batches")
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(simulate, 0)
            for number in range(rounds):
                simulations.append(self._arrange(coming.result()))
                if number + 1 < rounds:
                    coming = ahead.submit(simulate, number + 1)
                if number == 0:
                    validation = self._validation(validation_sims, batch_size)
                arrays = pad_and_stack(simulations)
                histories.append(self._train_in_memory(arrays, epochs, batch_size, validation, patience))
        return histories

    def train_offline(
        self,
        simulations_dict: Mapping[str, Any],
        epochs: int,
        batch_size: int,
        validation_sims: int | Mapping | None = None,
        patience: int | None = None,
    ) -> History:
        """Trains on simulations that are there already.

        Args:
            simulations_dict: prior_draws (simulations, parameters) and sim_data.
            epochs: passes over the simulations.
            batch_size: simulations in each update.
            validation_sims: simulations for the validation loss, or how many of these to hold back for it.
            patience: epochs without a lower validation loss after which training stops; None: never.

        Returns:
            The history of this training.
        """
        arrays = self._finite(self._configure(simulations_dict))
        if isinstance(validation_sims, int):
            order = np.random.default_rng(self._seed("validation")).permutation(len(arrays["parameters"]))
            held_out, rest = np.sort(order[:validation_sims]), np.sort(order[validation_sims:])
            validation = {name: array[held_out] for name, array in arrays.items()}
            arrays = {name: array[rest] for name, array in arrays.items()}
        else:
            validation = self._validation(validation_sims, batch_size)
        return self._train_in_memory(arrays, epochs, batch_size, validation, patience)

    def _train_in_memory(
        self, arrays: Arrays, epochs: int, batch_size: int, validation: Arrays | None, patience: int | None
    ) -> History:
        self._adapt(arrays)
        batches = InMemoryBatches(self.amortizer.prepare(arrays), batch_size, seed=self._seed("batches"))
        return self._train(batches, epochs, validation, patience)

    def _train(self, batches: Batches, epochs: int, validation: Arrays | None, patience: int | None = None) -> History:
        self.trainings += 1
        prepared = None if validation is None else self.amortizer.prepare(validation)
        history = History(self.history_path)
        Epochs(self.amortizer, batches, epochs, self.default_lr, prepared, patience, history).run(self.on_epoch)
        return history

    def _simulated(self, regime: type[OnlineBatches], batch_size: int, updates_per_epoch: int, **kwargs) -> Batches:
        if not self.amortizer.adapted:
            self._arrange(self._model_batches(self._seed("pilot"), _PILOT_SIMULATIONS, batch_size))
        return regime(
            self._simulate,
            self.amortizer.prepare,
            batch_size=batch_size,
            updates_per_epoch=updates_per_epoch,
            seed=self._seed("batches"),
            **kwargs,
        )

    def _model(self, batch_size: int, rng: np.random.Generator) -> Mapping[str, Any]:
        if self.generative_model is None:
            raise ValueError("this regime simulates while it trains: give the Trainer a generative_model")
        return self.generative_model(batch_size, rng)

    def _model_batches(self, seed: int, count: int, batch_size: int, number: int = 0) -> list[Mapping[str, Any]]:
        """At least `count` simulations, in batches, since what a batch has in common may differ between batches."""
        rng = np.random.default_rng([seed, number])
        return [self._model(batch_size, rng) for _ in range(-(-count // batch_size))]

    def _simulate(self, batch_size: int, rng: np.random.Generator) -> Arrays:
        arrays = self._finite(self._configure(self._model(batch_size, rng)))
        # A batch keeps its size: finite simulations stand in for those that are not.
        rows = np.resize(np.arange(len(arrays["parameters"])), batch_size)
        return {name: array[rows] for name, array in arrays.items()}

    def _arrange(self, simulated: list[Mapping[str, Any]]) -> Arrays:
        """Batches as one; the first ones ever seen decide the layout, whether sizes vary, and the standardization."""
        if self.configurator is None and self.amortizer.configurator is None:
            self.amortizer.configurator = Configurator.from_data(
                *(conditions_of(batch) for batch in simulated),
                summary=self.amortizer.summary_net is not None,
                # What a batch shares may be the number of elements, even where one batch is all that was seen.
                varying=any(batch.get("sim_non_batchable_context") is not None for batch in simulated),
            )
        arrays = pad_and_stack([self._finite(self._configure(batch)) for batch in simulated])
        self._adapt(arrays)
        return arrays

    def _validation(self, validation_sims: int | Mapping | None, batch_size: int) -> Arrays | None:
        if isinstance(validation_sims, int):
            return self._arrange(self._model_batches(self._seed("validation"), validation_sims, batch_size))
        return None if validation_sims is None else self._finite(self._configure(validation_sims))

    def _finite(self, arrays: Arrays) -> Arrays:
        finite = finite_rows(arrays)
        if not finite.any():
            raise ValueError(f"none of the {len(finite)} simulations is finite")
        if not finite.all():
            log.warning("left out %d of %d simulations that are not finite", np.sum(~finite), len(finite))
        return {name: array[finite] for name, array in arrays.items()}

    def _configure(self, simulated: Mapping[str, Any]) -> Arrays:
        if self.configurator is not None:
            configured = {name: np.asarray(array) for name, array in self.configurator(simulated).items()}
            if "parameters" not in configured or set(configured) - set(CONFIGURED):
                raise ValueError(
                    f"a configurator gives parameters, and any of {', '.join(CONFIGURED[1:])}; this one gave "
                    f"{', '.join(configured)}"
                )
            return configured
        theta = np.asarray(simulated["prior_draws"], np.float64)
        return {"parameters": theta, **self.amortizer.configure(conditions_of(simulated))}

    def _adapt(self, arrays: Arrays) -> None:
        if not self.amortizer.adapted:
            self.amortizer.adapt(arrays["parameters"], {k: v for k, v in arrays.items() if k != "parameters"})

    def _seed(self, purpose: str) -> int:
        """A seed for one purpose of the next training; no two trainings of one trainer share any."""
        stream = ("pilot", "validation", "batches").index(purpose)
        return child_seeds(self.seed, 3 * (self.trainings + 1))[3 * self.trainings + stream]
