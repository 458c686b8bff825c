"""The trainer: four regimes of simulation-based training, by the names that BayesFlow gave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import keras

from cinnflow import config
from cinnflow.arguments import functions_or_none, positive_number, whole_number
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.saving import has_own_layers, warn_where_unsavable
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.training.agreement import check_agreement
from cinnflow.training.arguments import path_of, settings_of
from cinnflow.training.arrangement import Arrangement
from cinnflow.training.batches import Arrays, Batches, InMemoryBatches, prepared_in_parts, repeat_rows
from cinnflow.training.compiled_updates import CompiledUpdates, Complete
from cinnflow.training.defaults import complete_training
from cinnflow.training.epochs import Epochs
from cinnflow.training.fresh_batches import fresh_batches
from cinnflow.training.held_out import held_apart
from cinnflow.training.history import Epoch, History
from cinnflow.training.progress import TrainingProgress
from cinnflow.training.purposes import Purpose, purpose_seed
from cinnflow.training.rounds import rounds_of
from cinnflow.training.simulation_ahead import Model, SimulationAhead

_LARGEST_GRADIENT = 1.0
"""Norm that a longer gradient is shortened to."""


class Trainer:
    """Trains an amortized posterior on a generative model, or on simulations that are there already.

    Args:
        amortizer: the posterior to train. Its standardization is taken from the first simulations it sees. The first
            training compiles what its networks do, and later ones take that: after a change of their settings, beside
            which layers are trainable, make a new Trainer.
        generative_model: generative_model(batch_size, rng) gives a dict with prior_draws (batch_size, parameters) and
            sim_data, an array or a dict of arrays, and contexts by a GenerativeModel's keys where there are any; needed
            for all but `train_offline`.
        configurator: turns that dict into one of parameters, summary_conditions, summary_mask and direct_conditions; by
            default sim_data and contexts are arranged as `Configurator` does.
        default_lr: first learning rate; it falls to zero along a cosine over all updates of one training. By default
            the regime's, as `training/defaults.py` says.
        history_path: a CSV file that is rewritten after each epoch, and begun anew by each training, a round among
            them; or None.
        checkpoint_path: a folder of its own for checkpoints, from which the same calls go on after they were killed,
            and where a training that is over is not repeated; or None. They are never taken up by another training.
        on_epoch: called after each epoch; or None.
        simulation_workers: processes that simulate ahead of training; 0 for a thread. By default one for each core
            where the model is a `GenerativeModel` whose simulator takes one parameter vector at a time, and a thread
            for functions of whole batches. The results do not depend on it, where all that is random comes from `rng`.
            A simulator that uses TensorFlow takes 0, and is faster as a `TensorFlowSimulator`, which simulates inside
            the compiled updates.
        seed: seed of simulations, order of batches and validation split.
        on_start: called before the first update of each training, when the posterior has its weights.
        simulation_timeout: seconds for one simulation in a process, on average over a batch, after which training ends;
            None: no limit.

    Raises:
        TypeError: for an amortizer that is none, such as the ensemble that `load_posterior` gives, or for what is no
            function.
        ValueError: where the posterior has the prior's names in another order, or for a number or a path that is none.

    Reference:
        Radev et al. (2020), BayesFlow, arXiv:2003.06281.
    """

    def __init__(
        self,
        amortizer: AmortizedPosterior,
        generative_model: Model | None = None,
        configurator: Callable[[Mapping[str, Any]], Arrays] | None = None,
        default_lr: float | None = None,
        history_path: str | Path | None = None,
        checkpoint_path: str | Path | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        simulation_workers: int | None = None,
        seed: int = 0,
        on_start: Callable[[], None] | None = None,
        simulation_timeout: float | None = None,
    ) -> None:
        if not isinstance(amortizer, AmortizedPosterior):
            raise TypeError(
                f"amortizer takes an AmortizedPosterior, got {type(amortizer).__name__}: to go on from a file, "
                "AmortizedPosterior.load(path)"
            )
        functions_or_none(
            generative_model=generative_model, configurator=configurator, on_epoch=on_epoch, on_start=on_start
        )
        if isinstance(generative_model, GenerativeModel) and configurator is None:
            check_agreement(amortizer, generative_model.prior)
        self._amortizer = amortizer
        self.generative_model = generative_model
        self._configurator = configurator
        self.default_lr = None if default_lr is None else positive_number("default_lr", default_lr)
        self.history_path = path_of("history_path", history_path, folder=False)
        self.checkpoint_path = path_of("checkpoint_path", checkpoint_path, folder=True)
        self.on_epoch = on_epoch
        self.on_start = on_start
        self.simulation_workers = (
            None if simulation_workers is None else whole_number("simulation_workers", simulation_workers, 0)
        )
        self.simulation_timeout = (
            None if simulation_timeout is None else positive_number("simulation_timeout", simulation_timeout)
        )
        self.seed = whole_number("seed", seed, 0)
        self._arrangement = Arrangement(amortizer, configurator)
        self._updates: CompiledUpdates | None = None
        self.trainings = 0
        self.ended = ""
        """Why the latest training came to its end."""

    @property
    def amortizer(self) -> AmortizedPosterior:
        """The posterior that is trained; another one takes a trainer of its own."""
        return self._amortizer

    @property
    def configurator(self) -> Callable[[Mapping[str, Any]], Arrays]:
        """What arranges simulations for it: the user's own, or one as the first simulations that it sees ask for."""
        return self._configurator or self._arrangement.laid_out

    @property
    def share_left_out(self) -> float:
        """Of the simulations that were made for standardization and validation: how many were not finite."""
        return self._arrangement.share_left_out

    def train_online(
        self,
        epochs: int | None = None,
        iterations_per_epoch: int | None = None,
        batch_size: int | None = None,
        validation_sims: int | Mapping | None = None,
        patience: int | None = None,
    ) -> History:
        """Trains on fresh simulations alone, each used once.

        Args:
            epochs: number of epochs; None here and for the next two: as `training/defaults.py` says.
            iterations_per_epoch: updates in each.
            batch_size: simulations in each update.
            validation_sims: simulations for the validation loss, or how many to make; then the best weights are kept.
                None or 0: none.
            patience: epochs without a lower validation loss after which training stops; None or 0: never.

        Returns:
            The history of this training.

        Raises:
            TrainingError: where the loss was not finite, or rose, before one epoch was complete, or a process that
                simulates has ended.
        """
        numbers = {"epochs": epochs, "iterations_per_epoch": iterations_per_epoch, "batch_size": batch_size}
        return self._train_simulating("online", validation_sims, patience, numbers)

    def train_experience_replay(
        self,
        epochs: int | None = None,
        iterations_per_epoch: int | None = None,
        batch_size: int | None = None,
        buffer_capacity: int | None = None,
        validation_sims: int | Mapping | None = None,
        patience: int | None = None,
    ) -> History:
        """Trains on batches drawn at random from a buffer of the latest simulations.

        Args:
            epochs: number of epochs; None here and for the next three: as `training/defaults.py` says.
            iterations_per_epoch: updates in each, and fresh batches that go into the buffer.
            batch_size: simulations in each update.
            buffer_capacity: batches in the buffer.
            validation_sims: as for `train_online`.
            patience: likewise.

        Returns:
            The history of this training.

        Raises:
            TrainingError: as for `train_online`.
        """
        numbers = {"epochs": epochs, "iterations_per_epoch": iterations_per_epoch, "batch_size": batch_size}
        return self._train_simulating(
            "replay", validation_sims, patience, {**numbers, "buffer_capacity": buffer_capacity}
        )

    def train_rounds(
        self,
        rounds: int,
        sim_per_round: int,
        epochs: int | None = None,
        batch_size: int | None = None,
        validation_sims: int | Mapping | None = None,
        patience: int | None = None,
    ) -> list[History]:
        """Trains in rounds; each adds fresh simulations from the prior to all before, and goes on from its weights.

        The simulations of the next round are made while a round trains.

        Args:
            rounds: number of rounds.
            sim_per_round: simulations that each adds.
            epochs: passes over all simulations so far, in each round; None here and below: as `training/defaults.py`
                says for the number of simulations.
            batch_size: simulations in each update.
            validation_sims: simulations for the validation loss, or how many to make beside the rounds; None: a share
                of each round's, which no round trains on; 0: none.
            patience: epochs without a lower validation loss after which a round stops; 0: never.

        Returns:
            The history of each round.

        Raises:
            TrainingError: as for `train_online`.
        """
        rounds, sim_per_round = whole_number("rounds", rounds), whole_number("sim_per_round", sim_per_round)
        chosen = settings_of("rounds", self.default_lr, validation_sims, patience, epochs=epochs, batch_size=batch_size)
        with self._simulating() as ahead:
            coming = rounds_of(rounds, sim_per_round, chosen, validation_sims, ahead, self._arrangement, self._seed)
            with closing(coming):
                room = rounds * sim_per_round
                return [self._train_in_memory(each.arrays, each.settings, each.validation, room) for each in coming]

    def train_offline(
        self,
        simulations_dict: Mapping[str, Any],
        epochs: int | None = None,
        batch_size: int | None = None,
        validation_sims: int | Mapping | None = None,
        patience: int | None = None,
    ) -> History:
        """Trains on simulations that are there already.

        Args:
            simulations_dict: prior_draws (simulations, parameters) and sim_data.
            epochs: passes over the simulations; None here and below: as `training/defaults.py` says for their number.
            batch_size: simulations in each update.
            validation_sims: simulations for the validation loss, or how many of these to hold back for it; 0: none.
            patience: epochs without a lower validation loss after which training stops; 0: never.

        Returns:
            The history of this training.

        Raises:
            TrainingError: where the loss was not finite, or rose, before one epoch was complete.
        """
        chosen = settings_of(
            "offline", self.default_lr, validation_sims, patience, epochs=epochs, batch_size=batch_size
        )
        self._arrangement.lay_out([simulations_dict])
        arrays = self._arrangement.given(simulations_dict)
        settings = complete_training(chosen, len(arrays["parameters"]))
        validation: Arrays | None = None
        if isinstance(validation_sims, Mapping):
            validation = self._arrangement.given(validation_sims)
        elif validation_sims != 0:
            how_many = settings.validation_share if validation_sims is None else validation_sims
            # The same in every training: what one has trained on, a later one does not take for validation.
            arrays, validation = held_apart(arrays, how_many, purpose_seed(self.seed, 0, "validation"))
        return self._train_in_memory(arrays, settings, validation)

    def train_on(
        self,
        batches: Batches,
        settings: config.Training,
        validation: Arrays | None,
        complete: Complete | None = None,
        meaning: str = "",
    ) -> History:
        """Trains an adapted posterior on any source of batches.

        Args:
            batches: the source, whose seed is the caller's choice.
            settings: its epochs, learning rate, and where there is a validation loss, patience.
            validation: configured simulations for the validation loss, or None.
            complete: what makes prepared simulations of batches that are not, inside the compiled updates; or None.
            meaning: what tells the source from others of the same settings: a checkpoint is of it alone.
        """
        if self.on_start is not None:
            self.on_start()
        elif has_own_layers(self.amortizer):
            warn_where_unsavable(self.amortizer)
        checkpoint = self.checkpoint_path and self.checkpoint_path / f"training-{self.trainings}.npz"
        self.trainings += 1
        # Compiling takes seconds, on a GPU tens of them: a training goes on with what the one before has compiled.
        if self._updates is None or not self._updates.made_for(self.amortizer, complete):
            self._updates = CompiledUpdates(self.amortizer, keras.optimizers.Adam(), _LARGEST_GRADIENT, complete)
        training = Epochs(
            self._updates,
            batches,
            settings.epochs,
            settings.learning_rate,
            None if validation is None else self.amortizer.prepare(validation),
            None if validation is None else settings.patience or None,
            History(self.history_path),
            checkpoint,
            f"{self.seed} {meaning}",
        )
        with TrainingProgress(settings.epochs, batches.updates_per_epoch) as progress:

            def follow(epoch: Epoch) -> None:
                progress.epoch(epoch)
                if self.on_epoch is not None:
                    self.on_epoch(epoch)

            history = training.run(follow, progress.updates)
        self.ended = training.ended
        return history

    def _train_in_memory(
        self, arrays: Arrays, settings: config.Training, validation: Arrays | None, room: int = 0
    ) -> History:
        """Trains on arrays, in a pool with room for as many as there will be, so that nothing is compiled anew."""
        self._arrangement.adapt(arrays)
        count = len(arrays["parameters"])
        pool = prepared_in_parts(self.amortizer.prepare, repeat_rows(arrays, max(count, room)))
        batches = InMemoryBatches(pool, settings.batch_size, self._seed("order"), count)
        return self.train_on(batches, settings, validation)

    def _train_simulating(
        self,
        regime: Literal["online", "replay"],
        validation_sims: int | Mapping | None,
        patience: int | None,
        numbers: Mapping[str, int | None],
    ) -> History:
        chosen = complete_training(settings_of(regime, self.default_lr, validation_sims, patience, **numbers), 0)
        told_apart = self.checkpoint_path is not None
        with (
            self._simulating() as ahead,
            fresh_batches(chosen, validation_sims, ahead, self._arrangement, self._seed, told_apart) as fresh,
        ):
            return self.train_on(fresh.batches, chosen, fresh.validation, fresh.complete, fresh.meaning)

    def _simulating(self) -> SimulationAhead:
        if self.generative_model is None:
            raise ValueError("this regime simulates while it trains: give the Trainer a generative_model")
        return SimulationAhead(self.generative_model, self.simulation_workers, self.simulation_timeout)

    def _seed(self, purpose: Purpose) -> int:
        """The seed for a purpose of the next training."""
        return purpose_seed(self.seed, self.trainings, purpose)
