"""The truncated prior: the right distribution, and parameters that depend on their own seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cinnflow.simulation import truncated_prior
from cinnflow.simulation.context import ContextGenerator
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.prior import Prior, PriorError
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.truncated_prior import draw_truncated


def model(batched: bool = False) -> GenerativeModel:
    def draw(rng, count=1):
        return rng.normal(size=(count, 2) if batched else 2)

    return GenerativeModel(Prior(draw, ["a", "b"], batched=batched), Simulator(lambda theta, _: theta))


def in_strip(theta: np.ndarray) -> np.ndarray:
    return (theta[:, 0] > 0.5) & (theta[:, 0] < 1.5)


@pytest.mark.parametrize("batched", [False, True])
def test_draws_are_those_of_the_truncated_prior(batched: bool) -> None:
    theta = draw_truncated(model(batched), range(3000), in_strip)
    assert in_strip(theta).all()
    assert stats.kstest(theta[:, 0], stats.truncnorm(0.5, 1.5).cdf).pvalue > 0.001
    assert stats.kstest(theta[:, 1], stats.norm.cdf).pvalue > 0.001


def test_parameters_depend_on_their_own_seed_and_the_region_alone() -> None:
    together = draw_truncated(model(), [5, 6, 7, 8], in_strip)
    apart = [draw_truncated(model(), [seed], in_strip)[0] for seed in (8, 6)]
    np.testing.assert_array_equal(apart, together[[3, 1]])


def test_in_the_whole_of_parameter_space_they_are_the_priors_own() -> None:
    whole = draw_truncated(model(), [5, 6], lambda theta: np.ones(len(theta), bool))
    np.testing.assert_array_equal(whole, [model().draw(5), model().draw(6)])


def test_a_prior_with_a_context_keeps_each_simulations_own() -> None:
    scales = ContextGenerator(batchable_context_fun=lambda rng: {"scale": rng.uniform(1, 2)})
    prior = Prior(lambda rng, scale: scale + rng.uniform(size=1), ["a"], context_generator=scales)
    generative = GenerativeModel(prior, Simulator(lambda theta, _: theta))
    theta = draw_truncated(generative, range(50), lambda theta: theta[:, 0] % 1 > 0.5)[:, 0]
    own = np.array([generative.contexts(seed)[0].named("prior", 1)["scale"][0] for seed in range(50)])
    assert np.all((theta >= own) & (theta <= own + 1) & (theta % 1 > 0.5))


def test_a_context_with_which_the_region_is_out_of_reach_is_told(monkeypatch) -> None:
    monkeypatch.setattr(truncated_prior, "_MOST_EACH", 3000)
    scales = ContextGenerator(batchable_context_fun=lambda rng: {"scale": rng.uniform(0, 2)})
    prior = Prior(lambda _, scale: [scale], ["a"], context_generator=scales)
    generative = GenerativeModel(prior, Simulator(lambda theta, _: theta))
    with pytest.raises(PriorError, match=r"of 20 simulations found no parameters within the truncated prior"):
        draw_truncated(generative, range(20), lambda theta: theta[:, 0] > 1)


def test_progress_tells_how_many_draws_it_took() -> None:
    told: list[tuple[int, int]] = []
    draw_truncated(model(), range(40), in_strip, lambda found, drawn: told.append((found, drawn)))
    assert told[-1][0] == 40
    assert told[-1][1] >= 40 / (stats.norm.cdf(1.5) - stats.norm.cdf(0.5)) / 2
