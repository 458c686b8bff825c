"""Scores against their definitions, written out in full, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from cinnflow.diagnostics.proper_scores import (
    crps,
    energy_score,
    joint_skill,
    marginal_skill,
    prior_crps,
    prior_energy_score,
    prior_ranks,
)


def crps_by_definition(draws: np.ndarray, truth: float) -> float:
    pairs = np.abs(draws[:, None] - draws[None, :]).sum() / (len(draws) * (len(draws) - 1))
    return np.abs(draws - truth).mean() - pairs / 2


def test_crps_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    draws, truths = rng.normal(size=(6, 9)), rng.normal(size=6)
    expected = [crps_by_definition(own, truth) for own, truth in zip(draws, truths, strict=True)]
    assert crps(draws, truths) == pytest.approx(expected)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_prior_s_crps_takes_the_other_true_values_for_draws(offset: float) -> None:
    truths = np.random.default_rng(1).normal(size=25) + offset
    expected = [crps_by_definition(np.delete(truths, index), truths[index]) for index in range(25)]
    assert prior_crps(truths) == pytest.approx(expected, abs=1e-7)


def test_energy_score_of_one_parameter_is_the_crps() -> None:
    rng = np.random.default_rng(2)
    draws, truths = rng.normal(size=(400, 200)), rng.normal(size=400)
    assert energy_score(draws[..., None], truths[:, None]).mean() == pytest.approx(crps(draws, truths).mean(), abs=0.01)
    assert prior_energy_score(truths[:, None]) == pytest.approx(prior_crps(truths))


def test_crps_of_a_normal_has_its_closed_form() -> None:
    rng = np.random.default_rng(3)
    truths = np.array([-1.0, 0.0, 2.5])
    z = truths / 2
    expected = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(2 * rng.normal(size=(3, 200_000)), truths) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("parameters", [2, 5])
def test_energy_score_of_a_normal_at_its_centre_has_its_closed_form(parameters: int) -> None:
    draws = np.random.default_rng(4).normal(size=(1, 100_000, parameters))
    mean_length = np.sqrt(2) * special.gamma((parameters + 1) / 2) / special.gamma(parameters / 2)
    expected = mean_length * (1 - 1 / np.sqrt(2))
    assert energy_score(draws, np.zeros((1, parameters))) == pytest.approx([expected], rel=0.01)


def test_energy_score_does_not_depend_on_how_many_data_sets_go_at_once(monkeypatch) -> None:
    draws, truths = np.random.default_rng(5).normal(size=(30, 20, 3)), np.zeros((30, 3))
    whole = energy_score(draws, truths)
    monkeypatch.setattr("cinnflow.diagnostics.proper_scores._NUMBERS_AT_ONCE", 100)
    assert np.array_equal(energy_score(draws, truths), whole)


def test_skill_of_a_gaussian_posterior_has_its_closed_form(gaussian) -> None:
    case = gaussian(parameters=2, data_sets=4000, noise=0.5)
    known = marginal_skill(case.draws[:, :, 0], case.truths[:, 0])
    # CRPS is proportional to the sd, and the posterior's sd is 0.447.
    assert known.value == pytest.approx(1 - np.sqrt(0.2), abs=3 * known.error)
    assert known.informative
    joint = joint_skill(case.draws, case.truths)
    assert joint.value == pytest.approx(1 - np.sqrt(0.2), abs=3 * joint.error)


def test_skill_of_the_prior_is_none(prior_only) -> None:
    case = prior_only()
    known = marginal_skill(case.draws[:, :, 0], case.truths[:, 0])
    assert abs(known.value) < 3 * known.error
    assert not known.informative
    assert not joint_skill(case.draws, case.truths).informative


def test_chance_does_not_make_a_prior_informative(prior_only) -> None:
    informative = 0
    for seed in range(300):
        case = prior_only(parameters=1, data_sets=20, draws=50, seed=seed)
        informative += marginal_skill(case.draws[:, :, 0], case.truths[:, 0]).informative
    # With so few data sets, a third of them have enough skill by luck alone.
    assert informative <= 9


def test_a_parameter_without_a_variance_is_informative_where_its_posterior_knows_it(gaussian) -> None:
    informative = 0
    for seed in range(20):
        case = gaussian(parameters=2, data_sets=200, draws=100, noise=0.5, seed=seed)
        draws, truths = (np.sign(values) * np.expm1(values**2) for values in (case.draws, case.truths))
        informative += marginal_skill(draws[:, :, 0], truths[:, 0]).informative
        informative += joint_skill(draws, truths).informative
    assert informative == 40


def test_prior_ranks_are_shares_of_the_prior_with_half_of_the_ties() -> None:
    draws, truths = prior_ranks(np.array([[-1.0, 1.0, 1.5, 9.0]]), np.array([0.0, 1.0, 1.0, 2.0]))
    assert draws.tolist() == [[0.0, 0.5, 0.75, 1.0]]
    assert truths.tolist() == [0.125, 0.5, 0.5, 0.875]
