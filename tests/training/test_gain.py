"""What a round has gained: nothing, where both fits are exact, whatever region the later one is of."""

from __future__ import annotations

import numpy as np
import pytest
from conjugate_gaussian import simulate
from scipy import stats

from cinnflow import config
from cinnflow.config_network import Network
from cinnflow.store.reader import Simulations
from cinnflow.training.fit import fit
from cinnflow.training.gain import Gain, density_before

NETWORK = Network(
    summary={"type": "deep_set", "units": 16, "summary_dim": 4},
    inference={"num_coupling_layers": 1, "num_dense": 1, "units": 16},
)
NOISE = 0.3


class Exact:
    """The posterior of θ ~ N(0, 1), x = θ + 0.3 ε."""

    def __init__(self):
        self.variance = NOISE**2 / (1 + NOISE**2)

    def of(self, data):
        return stats.norm(data["x"] * self.variance / NOISE**2, np.sqrt(self.variance))

    def log_prob(self, theta, data):
        return self.of(data).logpdf(theta)[:, 0]

    def sample(self, data, n_samples, seed):
        return self.of(data).rvs((n_samples, *data["x"].shape), np.random.default_rng(seed)).transpose(1, 0, 2)


def test_an_exact_fit_of_a_region_gains_nothing_over_an_exact_one():
    lower, upper = 0.1, 0.6
    rng = np.random.default_rng(0)
    theta = stats.truncnorm(lower, upper).rvs((2000, 1), rng)
    data = {"x": theta + NOISE * rng.standard_normal(theta.shape)}
    simulations = Simulations(["a"], np.array([-np.inf]), np.array([np.inf]), theta, data)
    before, exact = Exact(), Exact().of(data)
    later = before.log_prob(theta, data) - np.log(exact.cdf(upper) - exact.cdf(lower))[:, 0]

    def inside(parameters):
        return (parameters[:, 0] > lower) & (parameters[:, 0] < upper)

    gain = Gain.between(density_before(before, simulations, inside, seed=1), later, 1)
    assert abs(gain.nats_per_parameter) < 0.01
    assert Gain.between(density_before(before, simulations, None, seed=1), later, 1).nats_per_parameter > 0.4


def stored(simulations) -> Simulations:
    unbounded = np.full(2, np.inf)
    return Simulations(["a", "b"], -unbounded, unbounded, simulations["prior_draws"], {"x": simulations["sim_data"]})


@pytest.mark.parametrize(("epochs", "learning_rate", "kept"), [(40, 0.05, True), (3, 1e-3, False)])
def test_a_round_never_ends_with_a_worse_fit_than_it_began_with(epochs, learning_rate, kept):
    def trained(**settings):
        return fit(
            stored(simulate(1024, np.random.default_rng(0))),
            network=NETWORK,
            training=config.Training(batch_size=32, **settings.pop("training")),
            seed=1,
            **settings,
        )

    before = trained(training={"epochs": epochs, "learning_rate": 5e-3}).posterior
    start = before.get_weights()
    found = trained(training={"epochs": 1, "learning_rate": learning_rate}, warm_start=before, before=before)
    same = all(np.array_equal(a, b) for a, b in zip(start, found.posterior.get_weights(), strict=True))
    assert same == kept == ("whose weights are kept" in found.ended)
    assert found.gain is not None
    assert (found.gain == Gain(0.0, 0.0)) == kept
