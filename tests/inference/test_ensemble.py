"""Ensembles: an even mixture, in draws and in density."""

import numpy as np
import pytest
from scipy.special import logsumexp

from cinnflow.inference.ensemble import Ensemble


class Normal:
    """A posterior N(mean + data, 1) in one parameter, with a member's interface."""

    def __init__(self, mean, names=("a",)):
        self.mean, self.names = mean, list(names)
        self.lower, self.upper = np.array([-np.inf]), np.array([np.inf])

    def sample(self, data, n_samples, seed=None):
        rng = np.random.default_rng(seed)
        return data[:, None, :] + self.mean + rng.normal(size=(len(data), n_samples, 1))

    def log_prob(self, theta, data):
        return -0.5 * ((theta - data - self.mean) ** 2).sum(-1) - 0.5 * np.log(2 * np.pi)


DATA = np.zeros((2, 1))


def test_draws_come_evenly_from_all_members_in_random_order():
    draws = Ensemble([Normal(-100), Normal(0), Normal(100)]).sample(DATA, 300, seed=1)
    assert draws.shape == (2, 300, 1)
    which = np.round(draws[0, :, 0] / 100)
    assert [int(np.sum(which == k)) for k in (-1, 0, 1)] == [100, 100, 100]
    assert 0.15 < np.mean(which[:150] == -1) < 0.5


def test_few_draws_favour_no_member():
    ensemble = Ensemble([Normal(-100), Normal(100)])
    signs = [np.sign(ensemble.sample(DATA[:1], 1, seed=seed)[0, 0, 0]) for seed in range(200)]
    assert 60 < np.sum(np.array(signs) > 0) < 140


def test_the_density_is_the_mean_of_the_members_and_integrates_to_one():
    ensemble = Ensemble([Normal(-2), Normal(3)])
    grid = np.linspace(-12, 13, 4001)[:, None]
    log_prob = ensemble.log_prob(grid, np.zeros((4001, 1)))
    assert np.trapezoid(np.exp(log_prob), grid[:, 0]) == pytest.approx(1, abs=1e-6)
    each = np.stack([member.log_prob(grid, np.zeros((4001, 1))) for member in ensemble.members])
    np.testing.assert_allclose(log_prob, logsumexp(each, axis=0) - np.log(2))


def test_a_seed_gives_the_same_draws_and_another_others():
    ensemble = Ensemble([Normal(0), Normal(1)])
    np.testing.assert_array_equal(ensemble.sample(DATA, 7, seed=3), ensemble.sample(DATA, 7, seed=3))
    assert not np.array_equal(ensemble.sample(DATA, 7, seed=3), ensemble.sample(DATA, 7, seed=4))
    with pytest.raises(ValueError, match="seed takes a whole number from 0 on, got -1"):
        ensemble.sample(DATA, 7, seed=-1)


def test_no_members_or_members_of_other_parameters_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])
    with pytest.raises(ValueError, match="same parameters"):
        Ensemble([Normal(0), Normal(0, names=("b",))])


def test_what_the_members_know_of_data_stands_side_by_side():
    first, second = Normal(0), Normal(0)
    first.conditions, second.conditions = lambda data: data + 5, lambda data: data
    np.testing.assert_array_equal(Ensemble([first, second]).conditions(DATA), [[5, 0], [5, 0]])
