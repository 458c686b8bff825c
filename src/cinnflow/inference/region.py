"""The part of parameter space where a fit sees the posterior of an observation: where truncated rounds simulate.

Reference:
    Deistler, Goncalves, Macke (2022), Truncated proposals for scalable and hassle-free simulation-based inference.
    arXiv:2210.04815.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinnflow.inference.ensemble import Ensemble
from cinnflow.inference.errors import PosteriorFileError
from cinnflow.inference.load import load_members

LEFT_OUT = 1e-4
"""Share of the posterior that lies outside its region."""

LEAST_SHARE = 1e-4
"""Share of the prior that a region holds at least, so that rejection does not take forever."""

_DRAWS = 100_000
_ARRAYS = "region.npz"


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
        allowed = np.ones(len(prior_draws), bool) if wider is None else wider.inside(prior_draws)
        least = int(np.ceil(LEAST_SHARE * len(prior_draws)))
        thresholds = []
        # One after the other: so many draws of many parameters take gigabytes.
        for one in range(len(next(iter(observed.values())))):
            data_set = {name: array[one : one + 1] for name, array in observed.items()}
            draws = posterior.sample(data_set, _DRAWS, seed=seed)
            holding = np.quantile(posterior.log_prob(draws, data_set), LEFT_OUT)
            densities = np.where(allowed, posterior.log_prob(prior_draws[None], data_set)[0], -np.inf)
            thresholds.append(min(holding, np.sort(densities)[-least]))
        return cls(posterior, observed, np.array(thresholds), wider)

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Whether parameters (n, parameters) lie in the region (n,)."""
        found = np.ones(len(theta), bool) if self.wider is None else self.wider.inside(theta)
        if found.any():
            candidates = np.tile(theta[found], (len(self.thresholds), 1, 1))
            densities = self.posterior.log_prob(candidates, self.observed)
            found[found] = np.any(densities >= self.thresholds[:, None], axis=0)
        return found

    def save(self, folder: Path, fits: Sequence[Path]) -> None:
        """Writes the region, without the wider one, into a folder; `fits` are the .keras files of its posterior."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, fit in enumerate(fits):
            shutil.copyfile(fit, folder / f"member-{number}.keras")
        data = {f"data/{name}": array for name, array in self.observed.items()}
        np.savez(folder / _ARRAYS, thresholds=self.thresholds, **data)
        for path in folder.iterdir():  # to disk: simulations come to depend on them
            with path.open("rb") as file:
                os.fsync(file.fileno())

    @classmethod
    def load(cls, folder: Path, wider: Region | None) -> Region:
        """The region that `save` wrote.

        Raises:
            PosteriorFileError: for a file that cannot be read.
        """
        members = len(list(folder.glob("member-*.keras")))
        try:
            posterior = load_members([folder / f"member-{number}.keras" for number in range(members)])
            with np.load(folder / _ARRAYS) as arrays:
                observed = {name.removeprefix("data/"): arrays[name] for name in arrays if name != "thresholds"}
                return cls(posterior, observed, arrays["thresholds"], wider)
        except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
            raise PosteriorFileError(
                f"{folder} is damaged ({error}): put it back from a copy; without one, delete it with the store beside "
                "it, and start snakemake again, which simulates that round anew"
            ) from error
