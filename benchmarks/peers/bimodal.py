"""Two tasks of the SBI benchmark whose posteriors have two parts, and can be drawn from exactly.

Reference:
    Lueckmann, Boelts, Greenberg, Goncalves & Macke (2021), Benchmarking simulation-based inference, arXiv:2101.04653.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

OBSERVATIONS, DRAWS = 5, 4000


class Task(ABC):
    """Two parameters, uniform in [−bound, bound], and two numbers simulated from them."""

    bound: float

    def prior(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Parameters (count, 2)."""
        return rng.uniform(-self.bound, self.bound, (count, 2))

    @abstractmethod
    def simulate(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Data (count, 2)."""

    @abstractmethod
    def proposed(self, x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws from the posterior for a uniform prior without bounds, about `count` of them."""

    def posterior(self, x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Exact posterior draws (count, 2) for one data set x (2,)."""
        draws = np.empty((0, 2))
        while len(draws) < count:
            fresh = self.proposed(x, 2 * count, rng)
            draws = np.concatenate([draws, fresh[(np.abs(fresh) < self.bound).all(axis=1)]])
        return draws[:count]

    def simulations(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Parameters (count, 2) and data (count, 2)."""
        rng = np.random.default_rng(seed)
        theta = self.prior(count, rng)
        return theta, self.simulate(theta, rng)

    @property
    def observed(self) -> np.ndarray:
        """The observed data sets (OBSERVATIONS, 2): simulations that nobody trains on."""
        return self.simulations(OBSERVATIONS, seed=777)[1]


class TwoMoons(Task):
    """A crescent of noise around (−|a + b|, b − a) / √2: its posterior is two crescents."""

    bound = 1.0

    def simulate(self, theta, rng):
        centre = np.stack([-np.abs(theta.sum(axis=1)), theta[:, 1] - theta[:, 0]], axis=1) / np.sqrt(2)
        return _crescent(len(theta), rng) + centre

    def proposed(self, x, count, rng):
        centre = x - _crescent(count, rng)
        centre = centre[centre[:, 0] < 0]
        total, difference = np.sqrt(2) * -centre[:, 0] * rng.choice([-1, 1], len(centre)), np.sqrt(2) * centre[:, 1]
        return np.stack([total - difference, total + difference], axis=1) / 2


class GaussianMixture(Task):
    """Noise of a standard deviation of 1 or 0.1, as likely: the posterior is a narrow peak on a wide one."""

    bound = 10.0

    def simulate(self, theta, rng):
        sd = np.where(rng.random(len(theta)) < 0.5, 1.0, 0.1)[:, None]
        return theta + sd * rng.standard_normal(theta.shape)

    def proposed(self, x, count, rng):
        return self.simulate(np.tile(x, (count, 1)), rng)


def _crescent(count: int, rng: np.random.Generator) -> np.ndarray:
    angle, radius = rng.uniform(-np.pi / 2, np.pi / 2, count), rng.normal(0.1, 0.01, count)
    return np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], axis=1)


TASKS: dict[str, Task] = {"two_moons": TwoMoons(), "gaussian_mixture": GaussianMixture()}
