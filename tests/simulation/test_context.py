"""Contexts: what their functions may return, how they are passed on, and what is said of those that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

import cinnflow as cf
from cinnflow.simulation.context import ContextError


def rng():
    return np.random.default_rng(1)


def test_a_batchable_context_is_one_for_each_simulation_and_a_non_batchable_one_is_shared():
    contexts = cf.ContextGenerator(lambda rng: rng.normal(size=2), lambda rng: rng.integers(1, 101))
    drawn = contexts(5, rng())
    assert drawn["batchable_context"].shape == (5, 2)
    assert len(np.unique(drawn["batchable_context"])) == 10
    assert np.shape(drawn["non_batchable_context"]) == ()
    again = contexts(5, rng())
    np.testing.assert_array_equal(again["batchable_context"], drawn["batchable_context"])
    assert cf.ContextGenerator()(5, rng()) == {"batchable_context": None, "non_batchable_context": None}


def test_a_batchable_context_may_depend_on_the_non_batchable_one():
    contexts = cf.ContextGenerator(
        lambda rng, n_obs: {"index": rng.integers(n_obs)},
        lambda rng: int(rng.integers(1, 4)),
        use_non_batchable_for_batchable=True,
    )
    for seed in range(5):
        drawn = contexts(20, np.random.default_rng(seed))
        assert drawn["batchable_context"]["index"].max() < drawn["non_batchable_context"]
    with pytest.raises(ContextError, match="takes both"):
        cf.ContextGenerator(lambda _: 1, use_non_batchable_for_batchable=True)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("by_name", [False, True])
def test_contexts_are_passed_to_prior_and_simulator_by_position_or_by_name(batched, own, shared, by_name):
    def draw(_, *batch_size_and_context, **named):
        seen.append((batch_size_and_context[batched:], named))
        return np.zeros((batch_size_and_context[0], 2)) if batched else np.zeros(2)

    def simulate(theta, _, *context, **named):
        seen.append((context, named))
        return np.zeros((len(theta), 3)) if batched else np.zeros(3)

    def contexts(prefix):
        own_fun = (lambda rng: {f"{prefix}dose": rng.normal()}) if by_name else lambda rng: rng.normal()
        shared_fun = (lambda rng: {f"{prefix}n_obs": rng.integers(9)}) if by_name else lambda rng: rng.integers(9)
        return cf.ContextGenerator(own_fun if own else None, shared_fun if shared else None)

    prior = cf.Prior(draw, ["a", "b"], batched=batched, context_generator=contexts("prior_"))
    model = cf.GenerativeModel(prior, cf.Simulator(simulate, batched, context_generator=contexts("")))
    seen: list = []
    output = model(3, rng())
    assert len(seen) == (2 if batched else 6)
    for number, (positional, named) in enumerate(seen):
        is_prior, row = (number == 0, slice(None)) if batched else (number < 3, number % 3)
        key, prefix = ("prior", "prior_") if is_prior else ("sim", "")
        batchable, non_batchable = (output[f"{key}_{kind}_context"] for kind in ("batchable", "non_batchable"))
        assert (batchable is None, non_batchable is None) == (not own, not shared)
        if by_name:
            expected = {f"{prefix}dose": batchable[f"{prefix}dose"][row]} if own else {}
            expected |= {f"{prefix}n_obs": non_batchable[f"{prefix}n_obs"]} if shared else {}
            assert (positional, named.keys()) == ((), expected.keys())
            given, wanted = list(named.values()), list(expected.values())
        else:
            given = list(positional)
            wanted = [value for value in (batchable[row] if own else None, non_batchable) if value is not None]
        assert len(given) == len(wanted)
        for value, other in zip(given, wanted, strict=True):
            np.testing.assert_array_equal(value, other)


def test_a_number_of_observations_stays_an_integer():
    contexts = cf.ContextGenerator(non_batchable_context_fun=lambda _: {"n_obs": 7})
    simulator = cf.Simulator(lambda _, rng, n_obs: rng.normal(size=(n_obs, 2)), context_generator=contexts)
    assert simulator(np.zeros((4, 1)), rng()).shape == (4, 7, 2)
    given = contexts.given({"n_obs": np.array(3.0)}, "sim")
    assert simulator(np.zeros((4, 1)), rng(), given).shape == (4, 3, 2)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda: 1, "called with rng"),
        (lambda _: "a", "finite numbers"),
        (lambda _: np.nan, "finite numbers"),
        (lambda _: np.ma.array([1, 2], mask=[False, True]), "finite numbers"),
        (lambda _: None, "finite numbers"),
        (lambda _: [1, [2, 3]], "must return numbers"),
        (lambda _: {"n obs": 1}, "names a context 'n obs'"),
        (lambda _: {"mask": 1}, "names a context 'mask'"),
        (lambda _: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_functions_that_make_no_context_are_refused_at_once(function, says):
    for place in ("batchable_context_fun", "non_batchable_context_fun"):
        with pytest.raises(ContextError, match=says):
            cf.ContextGenerator(**{place: function})


def test_contexts_of_varying_shape_are_refused_where_they_would_be_stacked():
    contexts = cf.ContextGenerator(lambda rng: np.zeros(rng.integers(1, 9)))
    with pytest.raises(ContextError, match="same names and shapes"):
        contexts.draw(20, rng())
    with pytest.raises(ContextError, match="same names and shapes"):
        for seed in range(20):
            contexts.draw_one(np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"n_obs": 3}, "no context dose"),
        ({"n_obs": 3.5, "dose": [0, 1]}, r"n_obs takes whole numbers of shape \(\), got 3.5"),
        ({"n_obs": 3, "dose": 1}, r"dose takes numbers of shape \(2,\)"),
    ],
)
def test_given_contexts_that_do_not_fit_are_named(named, says):
    contexts = cf.ContextGenerator(lambda rng: {"n_obs": 5, "dose": rng.normal(size=2)})
    with pytest.raises(ContextError, match=says):
        contexts.given(named, "sim")
