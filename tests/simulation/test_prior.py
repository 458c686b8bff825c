from functools import partial

import numpy as np
import pytest

from cinnflow.simulation.prior import Prior, PriorError


def normal(rng):
    return rng.normal(size=2)


def test_a_prior_draws_vectors_one_by_one_or_a_batch_at_a_time():
    one_by_one = Prior(normal, names=["a", "b"])
    at_once = Prior(lambda rng, n: rng.normal(size=(n, 2)), names=["a", "b"], batched=True)
    for prior in (one_by_one, at_once):
        theta = prior(5, np.random.default_rng(1))
        assert (theta.shape, theta.dtype) == ((5, 2), np.float64)
        np.testing.assert_array_equal(theta, prior(5, np.random.default_rng(1)))


def test_one_parameter_may_be_a_plain_number():
    theta = Prior(lambda rng: rng.normal(), names=["a"])(4, np.random.default_rng(1))
    at_once = Prior(lambda rng, n: rng.normal(size=n), names=["a"], batched=True)(4, np.random.default_rng(1))
    assert theta.shape == (4, 1)
    np.testing.assert_array_equal(theta, at_once)


def test_names_and_bounds_have_defaults():
    prior = Prior(normal)
    assert prior.names == ["theta_0", "theta_1"]
    np.testing.assert_array_equal(prior.lower, [-np.inf, -np.inf])
    np.testing.assert_array_equal(Prior(normal, ["a", "b"], upper=[1, np.inf], lower=-9).lower, [-9, -9])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"names": ["a b", "c"]}, "parameter name 'a b'"),
        ({"names": ["a", "a"]}, "differ"),
        ({"names": ["a", "draw"]}, "parameter name 'draw': an axis of the posterior's draws"),
        ({"names": "ab"}, "takes a list of names, got 'ab'"),
        ({"names": ["a", "b"], "lower": [1, 2, 3]}, "one for all"),
        ({"names": ["a", "b"], "lower": [0, 5], "upper": 5}, "above the upper one for b"),
        ({"names": ["a", "b"], "lower": np.nan}, "a bound of a, b is not a number"),
    ],
)
def test_what_makes_no_prior(options, says):
    with pytest.raises(PriorError, match=says):
        Prior(normal, **options)


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda _: np.zeros(3), r"shape \(2, 3\); its names make that \(2, 2\)"),
        (lambda _: np.array([0.5, 2.0]), r"drew b = .*2.0.*, outside the support that it declares, 0.0 to 1.0"),
        (lambda _: np.array([-0.1, 0.5]), "drew a"),
        (lambda _: np.array([0.5, np.nan]), "drew b"),
        (lambda _: np.ma.array([0.5, 0.5], mask=[False, True]), "drew b"),
        (lambda _: {"a": 1, "b": 2}, "must return numbers"),
        (lambda _: ["x", "y"], "must return numbers"),
        (lambda _: [1.0, [2.0, 3.0]], "must return numbers"),
        (lambda _: None, "returned None: is there a return in it"),
    ],
)
def test_draws_that_contradict_the_prior_are_refused(draw, says):
    with pytest.raises(PriorError, match=says):
        Prior(draw, ["a", "b"], lower=0, upper=1)(2, np.random.default_rng(1))


def test_a_prior_takes_a_function():
    for none in (3, None):
        with pytest.raises(TypeError, match=f"draw takes a function, got {none}"):
            Prior(none)
    with pytest.raises(PriorError, match="returned None"):
        Prior(lambda *_: None, batched=True)


@pytest.mark.parametrize(
    ("draw", "batched", "says"),
    [
        (lambda: np.zeros(2), False, r"draw is called as draw\(rng\), and the function given takes \(\)"),
        (
            lambda batch_size: np.zeros((batch_size, 2)),
            True,
            r"draw is called as draw\(rng, batch_size\), .*batch_size",
        ),
    ],
)
def test_a_function_that_takes_no_generator_is_told_how_it_is_called(draw, batched, says):
    with pytest.raises(TypeError, match=says):
        Prior(draw, ["a", "b"], batched=batched)


def test_any_callable_that_takes_the_arguments_will_do():
    for draw in (lambda *_: np.zeros(2), lambda _, scale=1: np.full(2, scale), partial(np.add, 1.0), Draws()):
        Prior(draw, ["a", "b"])


class Draws:
    def __call__(self, rng):
        return np.zeros(2)


def test_a_prior_that_fails_says_where_and_how_it_is_called():
    def draw(size=4):  # a habit where generators are global
        return np.random.default_rng(1).normal(size=size)

    with pytest.raises(
        PriorError, match=r"TypeError: .*test_prior.py, line .*, in draw\). It is called as draw\(rng\)"
    ):
        Prior(draw)


def test_none_is_no_bound_and_nan_is_not_understood():
    prior = Prior(lambda rng: rng.normal(size=2), names=["a", "b"], lower=None, upper=[1.0, None])
    assert (prior.lower.tolist(), prior.upper.tolist()) == ([-np.inf, -np.inf], [1.0, np.inf])
    with pytest.raises(PriorError, match="a bound of b is not a number"):
        Prior(lambda rng: rng.normal(size=2), names=["a", "b"], lower=[0, np.nan])
