"""The part of parameter space where a fit sees the posterior of an observation: where truncated rounds simulate.

Reference:
    Deistler, Goncalves, Macke (2022), Truncated proposals for scalable and hassle-free simulation-based inference.
    arXiv:2210.04815.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinnflow.inference.ensemble import Ensemble
from cinnflow.inference.load import load_members
from cinnflow.store.layout import Store, place
from cinnflow.store.proposal import Proposal, proposal_folder, read_proposal, region_path

LEFT_OUT = 1e-4
"""Share of the posterior that lies outside its region."""

LEAST_SHARE = 1e-4
"""Share of the prior that a region holds at least, so that rejection does not take forever."""

_DRAWS = 100_000
_OBSERVED = "observed.npz"


@dataclass(frozen=True)
class Region:
    """Parameters whose posterior density, for one of some data sets at least, is not below its threshold.

        {θ in the wider region: log q(θ | data set) >= threshold of the data set}

    Within it, simulations of this region and of every wider one are draws from one and the same distribution: the prior
    truncated to it.

    Args:
        posterior: the fit q.
        observed: the data sets, as the posterior takes them.
        thresholds: least log density for each (data sets,).
        wider: the region of the round before; None for the whole of parameter space.
    """

    posterior: Ensemble
    observed: Mapping[str, np.ndarray]
    thresholds: np.ndarray
    wider: Region | None = None

    @classmethod
    def around(
        cls,
        posterior: Ensemble,
        observed: Mapping[str, np.ndarray],
        prior_draws: np.ndarray,
        seed: int,
        wider: Region | None = None,
    ) -> Region:
        """The smallest region with all but `LEFT_OUT` of each data set's posterior, and `LEAST_SHARE` of the prior.

        Args:
            posterior: the fit.
            observed: the data sets.
            prior_draws: draws from the whole prior (n, parameters).
            seed: of the posterior draws that the thresholds come from.
            wider: the region that the fit's simulations come from.
        """
        draws = posterior.sample(observed, _DRAWS, seed=seed)
        holding = np.quantile(posterior.log_prob(draws, observed), LEFT_OUT, axis=1)
        reachable = np.tile(prior_draws, (len(draws), 1, 1))
        densities = posterior.log_prob(reachable, observed)
        if wider is not None:
            densities[:, ~wider.inside(prior_draws)] = -np.inf
        least = int(np.ceil(LEAST_SHARE * len(prior_draws)))
        reached = np.sort(densities, axis=1)[:, -least]
        return cls(posterior, observed, np.minimum(holding, reached), wider)

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Whether parameters (n, parameters) lie in the region (n,)."""
        found = np.ones(len(theta), bool) if self.wider is None else self.wider.inside(theta)
        if found.any():
            candidates = np.tile(theta[found], (len(self.thresholds), 1, 1))
            densities = self.posterior.log_prob(candidates, self.observed)
            found[found] = np.any(densities >= self.thresholds[:, None], axis=0)
        return found


def save_region(region: Region, store: Store, about: Proposal, fits: Sequence[Path]) -> None:
    """Writes a region beside the store whose simulations it is of.

    Args:
        region: the region.
        store: the store.
        about: what else its file says.
        fits: the .keras files of the region's posterior.
    """
    folder = proposal_folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    for number, fit in enumerate(fits):
        shutil.copyfile(fit, folder / f"member-{number}.keras")
    np.savez(folder / _OBSERVED, **{f"data/{name}": array for name, array in region.observed.items()})
    path = region_path(store)
    place(path, about.text().encode(), path.with_suffix(".temporary"))


def read_region(store: Store) -> Region | None:
    """The region that a store's simulations come from; None for the whole prior.

    Raises:
        StoreError, PosteriorFileError: when one of its files is damaged.
    """
    about = read_proposal(store)
    if about is None:
        return None
    folder = proposal_folder(store)
    posterior = load_members([folder / f"member-{number}.keras" for number in range(about.members)])
    with np.load(folder / _OBSERVED) as arrays:
        observed = {name.removeprefix("data/"): arrays[name] for name in arrays}
    wider = read_region(Store(store.path.with_name(f"{about.wider}.zarr"))) if about.wider else None
    return Region(posterior, observed, np.array(about.thresholds), wider)
