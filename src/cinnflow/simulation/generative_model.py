"""Prior and simulator together: what a model file's build() returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cinnflow.simulation.external import ExternalSimulator
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.seeds import generator
from cinnflow.simulation.simulator import Simulator


class GenerativeModel:
    """The joint distribution of parameters and data, p(theta) p(data | theta).

    Args:
        prior: where parameters come from.
        simulator: what turns them into data, a Python function or an external program.

    Raises:
        TypeError: when either is something else.
    """

    def __init__(self, prior: Prior, simulator: Simulator | ExternalSimulator) -> None:
        if not isinstance(prior, Prior):
            raise TypeError(f"prior takes a cinnflow Prior, got {type(prior).__name__}")
        if not isinstance(simulator, Simulator | ExternalSimulator):
            raise TypeError(
                f"simulator takes a cinnflow Simulator or ExternalSimulator, got {type(simulator).__name__}"
            )
        self.prior = prior
        self.simulator = simulator

    def bind(self, folder: Path) -> None:
        """Tells the simulator the parameters' names, and the folder that its relative paths start from."""
        self.simulator.bind(self.prior.names, folder)

    def draw(self, seed: int) -> np.ndarray:
        """The parameters (parameters,) of the simulation that has this seed."""
        return self.prior(1, generator(seed, "prior"))[0]

    def __call__(self, batch_size: int, rng: np.random.Generator) -> dict[str, object]:
        """Draws and simulates a batch in this process.

        Returns:
            prior_draws (batch_size, parameters), and sim_data: an array or a dict of arrays, first axis batch_size.

        Raises:
            TypeError: for an external program, which the workflow runs.
        """
        if isinstance(self.simulator, ExternalSimulator):
            raise TypeError(
                "an external program runs in the workflow, not in this process: see `snakemake --cores all`"
            )
        theta = self.prior(batch_size, rng)
        return {"prior_draws": theta, "sim_data": self.simulator(theta, rng)}
