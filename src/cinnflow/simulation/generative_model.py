"""Prior and simulator together: what a model file's build() returns."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.simulation.consistency import PILOT_RUNS, Consistency, consistency
from cinnflow.simulation.context import Context, ContextError
from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.seeds import generator
from cinnflow.simulation.simulator import Simulator

log = logging.getLogger(__name__)


class GenerativeModel:
    """The joint distribution of parameters and data, p(theta) p(data | theta).

    Args:
        prior: where parameters come from.
        simulator: what turns them into data, a Python function or an external program.
        skip_test: False checks consistency at once and logs the report; `check_consistency` does so at any time.
        name: what the consistency check calls the model.

    Raises:
        TypeError: when prior or simulator is something else.
        ContextError: when two contexts have the same name.
        ValueError: when the model is checked and not consistent.
    """

    def __init__(
        self, prior: Prior, simulator: Simulator | ExternalSimulator, skip_test: bool = True, name: str = "anonymous"
    ) -> None:
        if not isinstance(prior, Prior):
            raise TypeError(f"prior takes a cinnflow Prior, got {type(prior).__name__}")
        if not isinstance(simulator, Simulator | ExternalSimulator):
            raise TypeError(
                f"simulator takes a cinnflow Simulator or ExternalSimulator, got {type(simulator).__name__}"
            )
        self.prior = prior
        self.simulator = simulator
        self.name = name
        self.folder: Path | None = None
        """The model file's, once it is bound."""
        both = prior.context_generator.example("prior").keys() & simulator.context_generator.example("sim").keys()
        if both:
            raise ContextError(f"prior and simulator both have a context {', '.join(sorted(both))}: rename one")
        if not skip_test:
            report = self.check_consistency()
            if not report.consistent:
                raise ValueError(str(report))
            log.info("%s", report)

    def bind(self, folder: Path) -> None:
        """Tells the simulator the parameters' names, and the folder that its relative paths start from."""
        self.folder = folder
        self.simulator.bind(self.prior.names, folder)

    def draw(self, seed: int) -> np.ndarray:
        """The parameters (parameters,) of the simulation that has this seed."""
        return self.prior(1, generator(seed, "prior"), self.contexts(seed)[0])[0]

    def contexts(self, seed: int) -> tuple[Context, Context]:
        """The contexts of prior and simulator, batches of one, of the simulation that has this seed.

        Raises:
            ContextError: when a context function fails, or gives another shape than before.
        """
        rng = generator(seed, "context")
        return self.prior.context_generator.draw_one(rng), self.simulator.context_generator.draw_one(rng)

    def given_contexts(self, named: Mapping[str, np.ndarray]) -> tuple[Context, Context]:
        """The contexts of prior and simulator, batches of one, that are these values by name.

        Raises:
            ContextError: when one lacks, or is of another shape.
        """
        prior, simulator = self.prior.context_generator, self.simulator.context_generator
        return prior.given(named, "prior"), simulator.given(named, "sim")

    @property
    def context_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each context of one simulation, of the prior and of the simulator, by name."""
        prior, simulator = self.prior.context_generator, self.simulator.context_generator
        both = {**prior.example("prior"), **simulator.example("sim")}
        return {name: value.shape for name, value in both.items()}

    def check_consistency(self, batch_size: int = PILOT_RUNS, seed: int = 0) -> Consistency:
        """Runs the model twice with one seed and reports the shapes of what it gives; printed, it reads well."""
        return consistency(self, batch_size, seed)

    def __call__(self, batch_size: int, rng: np.random.Generator) -> dict[str, Any]:
        """Draws and simulates a batch in this process.

        Returns:
            prior_draws (batch_size, parameters); sim_data: an array or a dict of arrays, first axis batch_size; and
            prior_batchable_context, prior_non_batchable_context, sim_batchable_context, sim_non_batchable_context: what
            the context functions gave, those that are batchable with a first axis of batch_size; None where there is
            none.

        Raises:
            TypeError: for an external program, which the workflow runs.
        """
        if isinstance(self.simulator, ExternalSimulator):
            raise TypeError(
                "an external program runs in the workflow, not in this process: see `snakemake --cores all`"
            )
        prior_context = self.prior.context_generator.draw(batch_size, rng)
        theta = self.prior(batch_size, rng, prior_context)
        context = self.simulator.context_generator.draw(batch_size, rng)
        return {
            "prior_draws": theta,
            "prior_batchable_context": prior_context.batchable,
            "prior_non_batchable_context": prior_context.non_batchable,
            "sim_data": self.simulator(theta, rng, context),
            "sim_batchable_context": context.batchable,
            "sim_non_batchable_context": context.non_batchable,
        }


def named_contexts(prior: Context, simulator: Context) -> dict[str, np.ndarray]:
    """The contexts of one simulation (batches of one) by name, as a store keeps them."""
    both = {**prior.named("prior", 1), **simulator.named("sim", 1)}
    return {name: values[0].astype(np.float64) for name, values in both.items()}
