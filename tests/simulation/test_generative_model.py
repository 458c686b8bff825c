"""A generative model's output by BayesFlow's keys, data that vary in length, and its consistency check."""

from __future__ import annotations

import logging
from itertools import product

import numpy as np
import pytest

import cinnflow as cf
from cinnflow.simulation.context import ContextError
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.prior import PriorError


def rng():
    return np.random.default_rng(1)


def draw(rng):
    return rng.normal(size=2)


def n_obs(low=1, high=11):
    return cf.ContextGenerator(non_batchable_context_fun=lambda rng: {"n_obs": rng.integers(low, high)})


def simulate(theta, rng, n_obs=50):
    return theta + rng.normal(size=(n_obs, 2))


def test_the_output_has_bayesflow_s_keys():
    output = cf.GenerativeModel(cf.Prior(draw, ["a", "b"]), cf.Simulator(simulate))(4, rng())
    assert {key: np.shape(value) for key, value in output.items() if value is not None} == {
        "prior_draws": (4, 2),
        "sim_data": (4, 50, 2),
    }
    assert [key for key, value in output.items() if value is None] == [
        "prior_batchable_context",
        "prior_non_batchable_context",
        "sim_batchable_context",
        "sim_non_batchable_context",
    ]


def test_the_number_of_observations_varies_between_batches_and_is_one_in_each():
    model = cf.GenerativeModel(cf.Prior(draw), cf.Simulator(simulate, context_generator=n_obs()))
    found = set()
    for seed in range(20):
        output = model(3, np.random.default_rng(seed))
        number = output["sim_non_batchable_context"]["n_obs"]
        assert output["sim_data"].shape == (3, number, 2)
        found.add(int(number))
    assert len(found) > 5


def test_contexts_do_not_move_the_draws_of_a_simulation():
    plain = cf.GenerativeModel(cf.Prior(draw, ["a", "b"]), cf.Simulator(simulate))
    varied = cf.GenerativeModel(cf.Prior(draw, ["a", "b"]), cf.Simulator(simulate, context_generator=n_obs()))
    np.testing.assert_array_equal(plain.draw(9), varied.draw(9))
    drawn = [int(varied.contexts(seed)[1].non_batchable["n_obs"]) for seed in range(20)]
    assert drawn == [int(varied.contexts(seed)[1].non_batchable["n_obs"]) for seed in range(20)]
    assert len(set(drawn)) > 5


def test_a_prior_depends_on_its_context():
    scales = cf.ContextGenerator(lambda rng: {"scale": rng.choice([1.0, 100.0])})
    prior = cf.Prior(lambda rng, scale: scale * rng.uniform(1, 2), ["a"], context_generator=scales)
    output = cf.GenerativeModel(prior, cf.Simulator(lambda theta, _: theta))(50, rng())
    ratio = output["prior_draws"][:, 0] / output["prior_batchable_context"]["scale"]
    assert ratio.min() >= 1
    assert ratio.max() <= 2
    model = cf.GenerativeModel(prior, cf.Simulator(lambda theta, _: theta))
    for seed in range(10):
        scale = model.contexts(seed)[0].batchable["scale"][0]
        assert 1 <= model.draw(seed)[0] / scale <= 2


def test_two_contexts_of_one_name_are_refused():
    scales = cf.ContextGenerator(lambda _: {"n_obs": 1})
    with pytest.raises(ContextError, match="both have a context n_obs"):
        cf.GenerativeModel(
            cf.Prior(lambda _, **__: 0.0, ["a"], context_generator=scales),
            cf.Simulator(simulate, context_generator=n_obs()),
        )


@pytest.mark.parametrize("by_name", [False, True])
def test_simulations_of_different_length_are_padded_under_a_mask(by_name):
    def points(theta, rng, n_obs):
        x = theta + rng.normal(size=(n_obs, 2))
        return {"x": x, "t": np.arange(n_obs) + 1.0, "total": x.sum(axis=0)} if by_name else x

    each = cf.ContextGenerator(lambda rng: {"n_obs": rng.integers(1, 11)})
    maximum = {"x": 10, "t": 10} if by_name else 10
    output = cf.GenerativeModel(cf.Prior(draw), cf.Simulator(points, context_generator=each, max_length=maximum))(
        30, rng()
    )
    data, lengths = output["sim_data"], output["sim_batchable_context"]["n_obs"]
    assert data["x"].shape == (30, 10, 2)
    np.testing.assert_array_equal(data["mask"], np.arange(10) < lengths[:, None])
    assert not data["x"][~data["mask"]].any()
    assert data["x"][data["mask"]].all()
    if by_name:
        np.testing.assert_allclose(data["x"].sum(axis=1), data["total"])
        np.testing.assert_array_equal(data["t"].max(axis=1), lengths)


def test_lengths_that_vary_without_a_declaration_or_beyond_it():
    each = cf.ContextGenerator(lambda rng: {"n_obs": rng.integers(1, 11)})
    for maximum, says in ((None, "max_length"), (5, "above the declared max_length of 5")):
        simulator = cf.Simulator(simulate, context_generator=each, max_length=maximum)
        with pytest.raises(ValueError, match=says):
            cf.GenerativeModel(cf.Prior(draw), simulator)(30, rng())
    for wrong in (0, 2.5, {"x": 3, "y": 4}, {}):
        with pytest.raises(ValueError, match="max_length takes"):
            cf.Simulator(simulate, max_length=wrong)


def test_the_consistency_check_reports_shapes(caplog):
    caplog.set_level(logging.INFO)
    model = cf.GenerativeModel(cf.Prior(draw), cf.Simulator(simulate, context_generator=n_obs(5, 6)), name="points")
    assert not caplog.records
    report = model.check_consistency()
    assert report.consistent
    assert report.shapes == {
        "prior_draws": (2, 2),
        "sim_data": (2, 5, 2),
        "sim_non_batchable_context['n_obs']": (),
    }
    assert "points model, 2 pilot runs" in str(report)
    assert "sim_data" in str(report)
    assert "(2, 5, 2)" in str(report)
    cf.GenerativeModel(model.prior, model.simulator, skip_test=False)
    assert "anonymous model, 2 pilot runs" in caplog.text


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("max_length", [None, 2])
def test_what_a_masked_array_hides_is_nan(batched, max_length):
    def simulate(theta, _):
        return np.ma.array(theta, mask=[False, True] if theta.ndim == 1 else [[False, True]] * len(theta))

    simulator = cf.Simulator(simulate, batched, max_length=max_length)
    found = simulator(np.ones((3, 2)), rng())
    np.testing.assert_array_equal(found["x"] if max_length else found, [[1, np.nan]] * 3)
    context = simulator.context_generator.draw(1, rng())
    outcome = simulator.run(np.ones(2), 1, None, None, None, context)
    assert outcome.status is Status.NOT_FINITE


@pytest.mark.parametrize("max_length", [None, 9])
@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ([None, None], "the simulator returned no data: None"),
        ([{}, {}], r"the simulator returned no data: \{\}"),
        (["abc", "def"], "not numbers: its type is <U3"),
        ([np.ones(3) + 1j, np.ones(3)], "not numbers: its type is complex128"),
        ([{"x": np.ones(3)}, {"y": np.ones(3)}], "differ in their arrays' names: x and y"),
        ([np.ones(3), {"y": np.ones(3)}], "differ in their arrays' names"),
    ],
)
def test_what_is_no_simulation_is_told(returned, says, max_length):
    results = iter(returned)
    with pytest.raises(ValueError, match=says):
        cf.Simulator(lambda *_: next(results), max_length=max_length)(np.ones((2, 2)), rng())
    if returned[0] is None:
        with pytest.raises(ValueError, match=says):
            cf.Simulator(lambda *_: None, batched=True, max_length=max_length)(np.ones((2, 2)), rng())


@pytest.mark.parametrize("by_name", [False, True])
def test_a_batch_may_be_a_list_of_arrays_that_differ_in_length(by_name):
    def simulate(theta, _):
        x = [np.full((1 + row, 2), row) for row in range(len(theta))]
        return {"x": x} if by_name else x

    found = cf.Simulator(simulate, batched=True, max_length=4)(np.ones((3, 2)), rng())
    assert found["mask"].sum(axis=1).tolist() == [1, 2, 3]
    assert found["x"].sum(axis=(1, 2)).tolist() == [0, 4, 12]


def test_numbers_keep_their_type_as_far_as_networks_have_it():
    types = (np.float32, np.int8, np.bool_, np.longdouble)
    simulator = cf.Simulator(lambda *_: {f"x{i}": np.ones(3, each) for i, each in enumerate(types)})
    assert [array.dtype for array in simulator(np.ones((2, 2)), rng()).values()] == [*types[:3], np.float64]


@pytest.mark.parametrize("batched", [False, True])
def test_functions_may_write_into_their_arguments_and_use_one_array_again(batched):
    def build(apart):
        kept = {
            key: None if apart else np.empty((3, 2) if batched and key != "scale" else 2)
            for key in ["theta", "scale", "x"]
        }

        def stored(key, values):
            if apart:
                return np.array(values)
            kept[key][...] = values
            return kept[key]

        def simulate(theta, rng, scale):
            own = theta.copy(), scale.copy()
            if not apart:
                theta[...], scale[...] = np.exp(theta), 0.0
            return {"x": stored("x", own[0] * own[1] + rng.normal(size=own[0].shape))}

        def draw(rng, *batch_size):
            return stored("theta", rng.normal(size=(*batch_size, 2)))

        scales = cf.ContextGenerator(batchable_context_fun=lambda rng: {"scale": stored("scale", rng.normal(size=2))})
        simulator = cf.Simulator(simulate, batched=batched, context_generator=scales)
        return cf.GenerativeModel(cf.Prior(draw, names=["a", "b"], batched=batched), simulator)

    reused, first = build(apart=False), np.random.default_rng(2)
    outputs = [reused(3, first) for _ in range(2)]
    fresh, again = build(apart=True), np.random.default_rng(2)
    for output in outputs:
        np.testing.assert_equal(output, fresh(3, again))


def test_a_simulator_takes_a_function():
    for kind, none in product((cf.Simulator, cf.TensorFlowSimulator), (3, None)):
        with pytest.raises(TypeError, match=f"simulate takes a function, got {none}"):
            kind(none)


def test_a_function_that_takes_no_generator_is_told_how_it_is_called():
    for kind, source in ((cf.Simulator, "rng"), (cf.TensorFlowSimulator, "seed")):
        with pytest.raises(TypeError, match=rf"called as simulate\(theta, {source}\), .*takes \(theta\)"):
            kind(lambda theta: theta)


@pytest.mark.parametrize(
    ("simulate", "says"),
    [
        (lambda *_: np.zeros(7), "not the batch, 2 here"),
        (lambda *_: np.full((2, 3), np.nan), "not all of it is finite"),
        (lambda *_: np.random.default_rng().normal(size=(2, 3)), "does not come from rng"),
        (lambda *_: np.array(["a", "b"]), "not numbers"),
    ],
)
def test_the_consistency_check_finds_what_is_wrong(simulate, says):
    with pytest.raises(ValueError, match=says):
        cf.GenerativeModel(cf.Prior(draw), cf.Simulator(simulate, batched=True), skip_test=False)


def test_a_prior_s_means_and_standard_deviations():
    prior = cf.Prior(lambda rng: rng.normal([1, -2], [3, 0.5]), param_names=["a", "b"])
    mean, sd = prior.estimate_means_and_stds(20_000, rng=rng())
    assert mean.shape == sd.shape == (1, 2)
    np.testing.assert_allclose(mean, [[1, -2]], atol=0.1)
    np.testing.assert_allclose(sd, [[3, 0.5]], rtol=0.03)
    assert prior.names == prior.param_names == ["a", "b"]
    with pytest.raises(PriorError, match="give one of them"):
        cf.Prior(draw, ["a", "b"], param_names=["a", "b"])
