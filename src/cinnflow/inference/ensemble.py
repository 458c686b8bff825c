"""An ensemble of posteriors: an even mixture of its members.

Reference:
    Lakshminarayanan, Pritzel, Blundell (2017), Simple and scalable predictive uncertainty estimation using deep
    ensembles. arXiv:1612.01474.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from cinnflow.arguments import whole_number
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.inference.parts import in_parts
from cinnflow.inference.raw_data import Data


class Ensemble:
    """q(θ | data) = mean over the members k of q_k(θ | data).

    Args:
        members: posteriors for the same parameters and data.

    Raises:
        ValueError: without a member, or for members of different parameters.
    """

    def __init__(self, members: Sequence[AmortizedPosterior]) -> None:
        if not members:
            raise ValueError("an ensemble takes at least one member")
        if len({tuple(member.names) for member in members}) > 1:
            raise ValueError(f"members must have the same parameters, got {[member.names for member in members]}")
        self.members = list(members)

    @property
    def names(self) -> list[str]:
        """The parameters' names."""
        return list(self.members[0].names)

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds (parameters,)."""
        return self.members[0].lower

    @property
    def upper(self) -> np.ndarray:
        """Upper bounds (parameters,)."""
        return self.members[0].upper

    def sample(self, data: Data, n_samples: int, seed: int | None = None) -> np.ndarray:
        """Draws from the mixture: as many from each member, give or take one, in random order.

        Args:
            data: an array, a dict of arrays, or a configured dict; first axis the data sets.
            n_samples: number of draws for each data set.
            seed: the same seed gives the same draws.

        Returns:
            Draws (data sets, n_samples, parameters), on the parameters' own scale and within their bounds.

        Raises:
            ValueError: as a member does.
        """
        n_samples = whole_number("n_samples", n_samples)
        seed = None if seed is None else whole_number("seed", seed, 0)
        seeds = np.random.SeedSequence(seed).spawn(len(self.members) + 1)
        rng = np.random.default_rng(seeds[-1])
        # Which members give one draw more is random, or the first would weigh more where draws are few.
        extra = rng.permutation(len(self.members)) < n_samples % len(self.members)
        counts = n_samples // len(self.members) + extra
        draws = np.concatenate(
            [
                member.sample(data, int(count), seed=int(own.generate_state(1)[0]))
                for member, count, own in zip(self.members, counts, seeds[:-1], strict=True)
                if count
            ],
            axis=1,
        )
        return draws[:, rng.permutation(n_samples)]

    def log_prob(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """log q(θ | data) of the mixture, for one or several parameter vectors a data set, as of a member."""
        each = np.stack([member.log_prob(theta, data) for member in self.members])
        return logsumexp(each, axis=0) - np.log(len(self.members))

    log_posterior = log_prob

    def conditions(self, data: Data) -> np.ndarray:
        """What the members know of each data set, side by side: (data sets, entries)."""
        return np.concatenate([member.conditions(data) for member in self.members], axis=1)

    def latent(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """Where each member maps θ, one member after the other: (members × data sets, parameters)."""
        images = []
        for member in self.members:
            configured = {"parameters": theta, **member.configure(data)}
            images += [z for z, _ in in_parts(member, configured)]
        return np.concatenate(images).astype(np.float64)
