"""What a fit has gained over the one before: how much likelier the parameters of simulations held out have become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.parts import runs
from cinnflow.store.reader import Simulations

_DRAWS_IN_ALL = 1_000_000
_FEWEST_DRAWS, _MOST_DRAWS = 100, 1000
"""Of each data set, for the share of a posterior that lies in a region."""
_ROWS_AT_ONCE = 100_000
"""Draws that a region sees at once: it takes them once for each of its data sets."""


@dataclass(frozen=True)
class Gain:
    """By how much the log density of the parameters of simulations held out is higher than in the fit before.

    Args:
        nats_per_parameter: the mean over these simulations.
        standard_error: of that mean.
    """

    nats_per_parameter: float
    standard_error: float

    @classmethod
    def between(cls, earlier: np.ndarray, later: np.ndarray, num_params: int) -> Gain:
        """The gain from log densities (simulations,) of two fits, −inf where a simulation lies outside their bounds."""
        differences = (later - earlier)[np.isfinite(later) & np.isfinite(earlier)] / num_params
        return cls(float(np.mean(differences)), float(np.std(differences) / np.sqrt(len(differences))))


class FitBefore:
    """The fit before, as it was before the training that it is compared with: a warm start changes its weights.

    Args:
        posterior: the fit.
        simulations: held out of the training.
        inside: as for `density_before`.
        seed: likewise.
    """

    def __init__(
        self,
        posterior: AmortizedPosterior,
        simulations: Simulations,
        inside: Callable[[np.ndarray], np.ndarray] | None,
        seed: int,
    ) -> None:
        self.posterior = posterior
        self.weights = posterior.get_weights()
        self._simulations = simulations
        self._density = density_before(posterior, simulations, inside, seed)

    def gain_of(self, posterior: AmortizedPosterior) -> Gain:
        """What a fit has gained over it."""
        later = posterior.log_prob(self._simulations.theta, self._simulations.conditions)
        return Gain.between(self._density, later, len(posterior.names))


def density_before(
    posterior: AmortizedPosterior,
    simulations: Simulations,
    inside: Callable[[np.ndarray], np.ndarray] | None,
    seed: int,
) -> np.ndarray:
    """Log densities (simulations,) that a fit gave the parameters, as a posterior within a region.

        log q(θ | data) − log Q(region | data)

    A fit to simulations of a smaller region spreads its density over less. Without the second term, which comes from
    draws, that alone would count as a gain.

    Args:
        posterior: the fit q.
        simulations: all of them within the region.
        inside: whether parameters (n, parameters) lie in the region (n,); None: there is no region.
        seed: of the draws.
    """
    log_prob = posterior.log_prob(simulations.theta, simulations.conditions)
    if inside is None:
        return log_prob
    data_sets, num_params = simulations.theta.shape
    each = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _DRAWS_IN_ALL // data_sets))
    draws = posterior.sample(simulations.conditions, each, seed=seed)
    rows = draws.reshape(-1, num_params)
    found = np.concatenate([inside(rows[run]) for run in runs(len(rows), _ROWS_AT_ONCE)]).reshape(data_sets, each)
    # The simulation's own parameters lie in the region, too: the share is never nothing.
    return log_prob - np.log((found.sum(axis=1) + 1) / (each + 1))
