"""From what a generative model gives to arrays for the networks: laid out, within the bounds, finite."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cinnflow.arguments import whole_number
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.configurator import Configurator
from cinnflow.inference.configured import checked
from cinnflow.inference.raw_data import conditions_of
from cinnflow.simulation.numbers import numbers
from cinnflow.training.batches import Arrays, digest_of_arrays, finite_rows, pad_and_stack
from cinnflow.training.errors import TrainingError
from cinnflow.training.simulation_ahead import Simulated, SimulationAhead

log = logging.getLogger(__name__)


class Arrangement:
    """How the simulations of one training come to one posterior.

    Args:
        amortizer: the posterior. The first simulations that it ever sees decide its layout and standardization.
        configurator: a user's own way from simulations to arrays by the networks' names; or None.
    """

    def __init__(
        self, amortizer: AmortizedPosterior, configurator: Callable[[Mapping[str, Any]], Arrays] | None
    ) -> None:
        self.amortizer = amortizer
        self._configurator = configurator
        self._seen = self._left_out = 0

    @property
    def by_posterior(self) -> bool:
        """Whether the posterior itself knows where the data go, and no function of the user's says it."""
        return self._configurator is None and self.amortizer.configurator is not None

    @property
    def share_left_out(self) -> float:
        """Of the simulations for standardization and validation so far: how many were not finite."""
        return self._left_out / max(1, self._seen)

    def together(self, simulated: Sequence[Simulated]) -> Arrays:
        """Batches as one, of those that are finite."""
        self.lay_out(simulated)
        arrays = self.finite(pad_and_stack([self.configure(batch) for batch in simulated]))
        self.adapt(arrays)
        return arrays

    def lay_out(self, simulated: Sequence[Simulated]) -> None:
        """Lets the first batches ever seen decide where the data go, and whether their sizes vary."""
        if self._configurator is not None:
            return
        conditions = [conditions_of(batch) for batch in simulated]
        if self.amortizer.configurator is not None:
            self.amortizer.configurator.admit(*conditions)
        elif not self.amortizer.adapted:
            self.amortizer.configurator = Configurator.from_data(
                *conditions,
                summary=self.amortizer.summary_net is not None,
                # What a batch shares may be the number of elements, even where one batch is all that was seen.
                varying=any(batch.get("sim_non_batchable_context") is not None for batch in simulated),
            )

    def laid_out(self, simulated: Simulated) -> Arrays:
        """One batch as arrays by the networks' names, also where it is the first one ever seen."""
        self.lay_out([simulated])
        return self.configure(simulated)

    def configure(self, simulated: Simulated) -> Arrays:
        """One batch as arrays by the networks' names.

        Raises:
            ValueError: for names or shapes that no network takes, or parameters outside the posterior's bounds.
        """
        if self._configurator is not None:
            configured = self._configurator(simulated)
        else:
            conditions = self.amortizer.configure(conditions_of(simulated))
            if simulated.get("prior_draws") is None:
                raise ValueError(f"a model gives prior_draws and sim_data, this one gave {', '.join(simulated)}")
            try:
                theta = numbers(simulated["prior_draws"])
            except ValueError as error:
                raise ValueError(f"prior_draws take numbers: {error}") from error
            configured = {"parameters": theta, **conditions}
        arrays = checked(configured, len(self.amortizer.names))
        self.amortizer.transform.check(arrays["parameters"], self.amortizer.names)
        return arrays

    def given(self, simulations: Simulated) -> Arrays:
        """Simulations that the user gives, those that are finite; errors as for `configure` and `finite`."""
        return self.finite(self.configure(simulations))

    def validation(
        self, sims: int | Mapping[str, Any] | None, ahead: SimulationAhead, seed: int, batch_size: int
    ) -> Arrays | None:
        """Simulations for the validation loss; None where there are to be none.

        Args:
            sims: the simulations, or how many to make.
            ahead: what makes them.
            seed: their seed.
            batch_size: how many it makes at once.
        """
        if isinstance(sims, Mapping):
            return self.given(sims)
        if not sims:
            return None
        count = whole_number("validation_sims", sims)
        arrays = self.together(ahead.at_least(count, seed, batch_size))
        return {name: array[:count] for name, array in arrays.items()}

    def meaning(self, first: Sequence[Simulated], again: Sequence[Simulated]) -> str:
        """A digest that tells a model's simulations from another's; of nothing where the same seed gave other ones.

        Args:
            first: batches of the model.
            again: the same, made once more.
        """
        once, twice = ([digest_of_arrays(self.configure(batch)) for batch in batches] for batches in (first, again))
        if once == twice:
            return " ".join(once)
        log.warning(
            "the same seed gave other simulations: a random draw does not come from rng. This training cannot be "
            "repeated, and a checkpoint of another model would not be told from its own"
        )
        return ""

    def finite(self, arrays: Arrays) -> Arrays:
        """Those simulations that are finite.

        Raises:
            TrainingError: where none is.
        """
        if not len(arrays["parameters"]):
            raise TrainingError("there are no simulations to train on")
        finite = finite_rows(arrays)
        self._seen += len(finite)
        self._left_out += int(np.sum(~finite))
        if not finite.any():
            raise TrainingError(f"none of the {len(finite)} simulations is finite: mend the simulator")
        if finite.all():
            return arrays
        log.warning("left out %d of %d simulations that are not finite", np.sum(~finite), len(finite))
        return {name: array[finite] for name, array in arrays.items()}

    def adapt(self, arrays: Arrays) -> None:
        """Takes the posterior's standardization from these simulations, where it has none yet."""
        if not self.amortizer.adapted:
            self.amortizer.adapt(arrays["parameters"], {k: v for k, v in arrays.items() if k != "parameters"})
