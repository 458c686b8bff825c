"""What a posterior promises: shapes, supports, seeds, and a density on the parameters' own scale."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from posteriors import LOWER, NAMES, UPPER, posterior, simulations
from scipy import stats

from cinnflow.inference import drawing, parts
from cinnflow.inference.amortized_posterior import AmortizedPosterior
from cinnflow.networks import DeepSet, InvertibleNetwork, SetTransformer, TimeSeriesNetwork

THETA, DATA = simulations()


@pytest.fixture(scope="module", params=["deep_set", "time_series", "none"])
def trained(request) -> AmortizedPosterior:
    return posterior(request.param)


def rows(data, part):
    return {name: array[part] for name, array in data.items()}


def test_draws_have_their_shape_also_for_one_data_set_and_stay_within_the_bounds(trained):
    for count in (1, 40):
        draws = trained.sample(rows(DATA, slice(count)), 25, seed=1)
        assert draws.shape == (count, 25, 3) and draws.dtype == np.float64
        assert np.all((draws >= LOWER) & (draws <= UPPER))
    assert trained.names == NAMES


def test_the_same_seed_gives_the_same_draws_however_they_are_chunked(trained, monkeypatch):
    draws = trained.sample(DATA, 25, seed=1)
    np.testing.assert_array_equal(trained.sample(DATA, 25, seed=1), draws)
    assert np.any(trained.sample(DATA, 25, seed=2) != draws)
    for rows_at_once in (7, 60):
        monkeypatch.setattr(drawing, "ROWS_AT_ONCE", rows_at_once)
        np.testing.assert_allclose(trained.sample(DATA, 25, seed=1), draws, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("rows_compiled", "pieces"), [(7, 3), (60, 4), (2**13, 32)])
def test_a_large_request_compiled_gives_the_draws_that_it_gives_otherwise(trained, monkeypatch, rows_compiled, pieces):
    draws = trained.sample(DATA, 25, seed=1)
    monkeypatch.setattr(drawing, "_DRAWS_WORTH_COMPILING", 1)
    monkeypatch.setattr(drawing, "_ROWS_COMPILED", rows_compiled)
    monkeypatch.setattr(drawing, "_PIECES_COMPILED", pieces)
    compiled = trained.sample(DATA, 25, seed=1)
    np.testing.assert_allclose(compiled, draws, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(trained.sample(DATA, 25, seed=1), compiled)


def test_pieces_of_every_size_take_one_compilation_and_a_small_request_none(trained, monkeypatch):
    compilations = []
    inverse = AmortizedPosterior._inverse

    def counted(self, z, condition):
        compilations.append(z.shape)
        return inverse(self, z, condition)

    one = rows(DATA, slice(1))
    monkeypatch.setattr(AmortizedPosterior, "_inverse", counted)
    monkeypatch.setattr(drawing, "_ROWS_COMPILED", 33)
    monkeypatch.setattr(AmortizedPosterior, "_invert", lambda *_: pytest.fail("a large request was not compiled"))
    monkeypatch.setattr(drawing, "_DRAWS_WORTH_COMPILING", 100)
    assert trained.sample(one, 140, seed=1).shape == (1, 140, 3)
    assert trained.sample(one, 250, seed=1).shape == (1, 250, 3)
    assert compilations == [(1, 33, 3)]
    assert trained.sample(one, 100, seed=1).shape == (1, 100, 3)
    assert compilations[1:] == [(1, 25, 3)]  # and not four pieces of 33
    monkeypatch.undo()
    monkeypatch.setattr(AmortizedPosterior, "_invert_compiled", lambda *_: pytest.fail("a small request was compiled"))
    assert trained.sample(one, 99, seed=1).shape == (1, 99, 3)


def test_log_prob_is_the_density_of_the_draws_on_the_parameters_own_scale(trained):
    """The mean of 1/q over draws inside a box is the volume of the box, which no Jacobian can be missing for."""
    one = rows(DATA, slice(1))
    draws = trained.sample(one, 40_000, seed=3)[0]
    low, high = np.quantile(draws, [0.2, 0.8], axis=0)
    inside = np.all((draws > low) & (draws < high), axis=1)
    repeated = {name: np.repeat(array, inside.sum(), axis=0) for name, array in one.items()}
    log_prob = trained.log_prob(draws[inside], repeated)
    volume = np.sum(np.exp(-log_prob)) / len(draws)
    assert volume == pytest.approx(np.prod(high - low), rel=0.05)


def test_log_prob_outside_the_bounds_is_minus_infinity(trained):
    theta = THETA[:3].copy()
    theta[1, 1], theta[2, 2] = -1.0, 1.5
    log_prob = trained.log_prob(theta, rows(DATA, slice(3)))
    assert np.isfinite(log_prob[0])
    assert np.all(np.isneginf(log_prob[1:]))
    np.testing.assert_array_equal(trained.log_posterior(theta, rows(DATA, slice(3))), log_prob)


def test_calling_it_gives_z_and_the_log_determinant_of_the_whole_way(trained):
    theta = tf.constant(THETA[:1])
    configured = trained.configure(rows(DATA, slice(1)))
    copies = {name: np.repeat(array, 3, axis=0) for name, array in configured.items()}
    with tf.GradientTape() as tape:
        repeated = tf.repeat(theta, 3, axis=0)
        tape.watch(repeated)
        z, log_det = trained({"parameters": repeated, **copies})
        diagonal = tf.reduce_sum(tf.linalg.diag_part(z))
    expected = np.linalg.slogdet(tape.gradient(diagonal, repeated).numpy())[1]
    np.testing.assert_allclose(log_det[0], expected, atol=1e-3)
    log_prob = stats.norm.logpdf(z).sum(axis=1) + log_det.numpy()
    np.testing.assert_allclose(trained.log_prob(THETA[:1], rows(DATA, slice(1))), log_prob[:1], rtol=1e-5)


def test_configured_data_are_taken_as_they_are(trained):
    configured = trained.configure(DATA)
    np.testing.assert_array_equal(trained.sample(configured, 5, seed=1), trained.sample(DATA, 5, seed=1))


def test_the_unit_of_measurement_does_not_matter():
    plain = posterior()
    scaled = posterior()
    factors = np.array([1e-3, 1e4, 1.0])
    theta, data = simulations()
    scaled.adapt(theta * factors, {"series": 1e3 * data["series"] + 7.0, "pupils": data["pupils"] / 1e6})
    other = {"series": 1e3 * data["series"] + 7.0, "pupils": data["pupils"] / 1e6}
    np.testing.assert_allclose(
        scaled.sample(other, 5, seed=1), plain.sample(data, 5, seed=1) * factors, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        scaled.log_prob(theta * factors, other), plain.log_prob(theta, data) - np.log(factors).sum(), atol=1e-3
    )


def test_conditions_are_summaries_and_direct_conditions():
    trained = posterior()
    conditions = trained.conditions(DATA)
    np.testing.assert_array_equal(conditions[:, :4], trained.summaries(DATA))
    assert conditions.shape == (40, 6)
    assert np.all(np.isfinite(posterior("none").conditions(DATA)))


def test_large_data_sets_are_summarized_in_parts(monkeypatch):
    trained = posterior()
    draws, summaries = trained.sample(DATA, 3, seed=1), trained.summaries(DATA)
    monkeypatch.setattr(parts, "_ELEMENTS_AT_ONCE", 20)
    seen = []
    monkeypatch.setattr(
        trained, "_summaries_of", lambda rows: seen.append(len(rows["direct_conditions"])) or summaries[:2]
    )
    trained.summaries({name: array[:4] for name, array in DATA.items()})
    assert seen == [2, 2]
    np.testing.assert_allclose(trained.sample(DATA, 3, seed=1), draws, rtol=1e-3, atol=1e-5)


def test_summaries_do_not_depend_on_how_data_sets_are_chunked(monkeypatch):
    trained = posterior()
    summaries = trained.summaries(DATA)
    assert summaries.shape == (40, 4)
    monkeypatch.setattr(parts, "_DATA_SETS_AT_ONCE", 7)
    np.testing.assert_allclose(trained.summaries(DATA), summaries, atol=1e-5)
    with pytest.raises(ValueError, match="no summary network"):
        posterior("none").summaries(DATA)


def test_the_summary_loss_pulls_summaries_towards_a_normal_distribution_in_training_alone():
    plain, pulled = posterior(), posterior(summary_loss_fun="MMD")
    prepared = plain.prepare({"parameters": THETA, **plain.configure(DATA)})
    losses = [float(made.compute_loss(prepared, training=True)) for made in (plain, pulled)]
    assert losses[1] > losses[0]
    validation = [float(made.compute_loss(prepared)) for made in (plain, pulled, pulled)]
    assert validation[0] == validation[1] == validation[2]


FINITE = st.one_of(
    st.sampled_from([0.0, 5e-324, 1e-310, 1e-40, 1e30, -1e30, 3e38, 1e300]),
    st.floats(-1e30, 1e30, allow_subnormal=True),
)


@given(
    theta=arrays(np.float64, (3, 3), elements=FINITE),
    series=arrays(np.float64, (3, 7, 2), elements=FINITE),
    pupils=arrays(np.float64, 3, elements=FINITE),
)
@settings(max_examples=10)
@pytest.mark.parametrize("design", ["affine", "spline"])
def test_extreme_values_never_give_nan(design, theta, series, pupils):
    if design not in EXTREME:
        EXTREME[design] = posterior(design=design)
    made, data = EXTREME[design], {"series": series, "pupils": pupils}
    theta = np.clip(theta, [-np.inf, 1e-300, -1.0], [np.inf, np.inf, 1.0])
    with tf.GradientTape() as tape:
        loss = made.compute_loss(made.prepare({"parameters": theta, **made.configure(data)}), training=True)
    assert np.isfinite(loss)
    for gradient in tape.gradient(loss, made.trainable_variables):
        assert np.all(np.isfinite(gradient))
    assert not np.any(np.isnan(made.log_prob(theta, data)))
    draws = made.sample(data, 4, seed=0)
    assert np.all(np.isfinite(draws)) and np.all((draws >= LOWER) & (draws <= UPPER))


EXTREME: dict[str, AmortizedPosterior] = {}


@pytest.mark.parametrize("factor", [1e-310, 1e150])
def test_training_data_of_any_magnitude_are_taken(factor):
    theta, data = simulations()
    made = posterior()
    made.adapt(theta * [factor, 1.0, 1.0], {"series": data["series"] * factor, "pupils": data["pupils"] * factor})
    other = {"series": data["series"] * factor, "pupils": data["pupils"] * factor}
    assert np.all(np.isfinite(made.log_prob(theta * [factor, 1.0, 1.0], other)))
    assert np.all(np.isfinite(made.sample(other, 3, seed=0)))


@pytest.mark.parametrize("condition", [False, True])
def test_a_single_parameter_works(condition):
    one = AmortizedPosterior(InvertibleNetwork(1, 2), DeepSet(2, units=8) if condition else None, lower=0.0)
    rng = np.random.default_rng(0)
    theta, data = rng.exponential(size=(20, 1)), rng.normal(size=(20, 5, 1))
    one.adapt(theta, data)
    assert one.sample(data, 3, seed=0).shape == (20, 3, 1)
    assert one.log_prob(theta, data).shape == (20,)


VARYING = np.arange(7) < np.array([[4], [7], [2]])


@pytest.fixture(scope="module")
def of_any_length() -> AmortizedPosterior:
    made = AmortizedPosterior(InvertibleNetwork(3, 2), DeepSet(2, units=8))
    mask = np.arange(7) < np.arange(40)[:, None] % 7 + 1
    made.adapt(THETA, {"x": DATA["series"], "dose": DATA["pupils"], "n_obs": mask.sum(axis=1), "mask": mask})
    return made


def varying(**changed):
    x = np.where(VARYING[..., None], DATA["series"][:3], np.nan)
    return {"x": x, "dose": np.ones(3), "n_obs": [4, 7, 2], "mask": VARYING, **changed}


def test_nan_behind_the_end_of_data_sets_is_no_data(of_any_length):
    expected = of_any_length.sample(varying(x=DATA["series"][:3]), 5, seed=1)
    np.testing.assert_array_equal(of_any_length.sample(varying(), 5, seed=1), expected)
    assert np.isfinite(expected).all()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"mask": ~VARYING, "n_obs": [3, 0, 5]}, "'x' hold values that are not finite in data set 0"),
        ({"mask": np.arange(7) < np.array([[4], [7], [3]]), "n_obs": [4, 7, 3]}, "'x' .* not finite in data set 2"),
        ({"dose": [1, np.inf, np.nan]}, "'dose' hold values that are not finite in data set 1"),
        ({"dose": np.ma.array([1, 1, 1], mask=[0, 0, 1])}, "'dose' .* not finite in data set 2"),
        ({"dose": np.array([1j, 1, 1])}, "'dose' take numbers, got complex128"),
        ({"n_obs": [4, 7, 3]}, "'n_obs' is 3 in data set 2, whose data are 2 long"),
        ({"x": np.ones((3, 8, 2)), "n_obs": [8, 8, 8], "mask": np.ones((3, 8))}, "data set 0 is 8 long, .* at most 7"),
    ],
)
def test_data_that_cannot_be_are_refused(of_any_length, changed, says):
    with pytest.raises(ValueError, match=says):
        of_any_length.sample(varying(**changed), 5)
    with pytest.raises(ValueError, match=says):
        of_any_length.log_prob(THETA[:3], varying(**changed))


def test_without_a_mask_every_element_is_there(of_any_length):
    x = varying()["x"]
    with pytest.raises(ValueError, match=r"'x' hold .* in data set 0: leave it out, or say in a boolean array .mask."):
        of_any_length.sample({"x": x, "dose": np.ones(3)}, 5)
    with pytest.raises(ValueError, match="'n_obs' is 4 in data set 0, whose data are 7 long"):
        of_any_length.sample({"x": np.ones((3, 7, 2)), "dose": np.ones(3), "n_obs": [4, 7, 2]}, 5)


def test_configured_data_that_are_not_finite_are_refused(trained):
    configured = {name: array.copy() for name, array in trained.configure(DATA).items()}
    configured["direct_conditions"][3, 0] = np.nan
    with pytest.raises(ValueError, match="'direct_conditions' hold values that are not finite in data set 3"):
        trained.sample(configured, 5)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"direct_conditions": None}, "takes summary_conditions and direct_conditions, got summary_conditions"),
        ({"summary_conditions": None}, "takes summary_conditions and direct_conditions, got direct_conditions"),
        ({"summary_conditions": np.zeros((3, 7, 1))}, r"summary_conditions take the shape \(data sets, 7, 2\)"),
        ({"direct_conditions": np.zeros((3, 1))}, r"direct_conditions take the shape \(data sets, 2\), .* \(3, 1\)"),
        ({"direct_conditions": np.zeros((2, 2))}, "the same number of data sets for each name"),
        ({"summary_mask": np.ones((3, 6), bool)}, r"summary_mask take the shape \(data sets, 7\)"),
    ],
)
def test_configured_data_unlike_those_in_training_are_refused(of_any_length, changed, says):
    configured = {"summary_conditions": np.zeros((3, 7, 2)), "direct_conditions": np.zeros((3, 2)), **changed}
    with pytest.raises(ValueError, match=says):
        of_any_length.sample({name: array for name, array in configured.items() if array is not None}, 5)


def test_no_data_sets_have_no_posterior(trained):
    with pytest.raises(ValueError, match="the data hold no data set"):
        trained.sample(rows(DATA, slice(0)), 5)


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="seen no training data"):
        AmortizedPosterior(InvertibleNetwork(2)).sample(np.zeros((1, 3)), 5)
    with pytest.raises(ValueError, match="names takes 2 different names"):
        AmortizedPosterior(InvertibleNetwork(2), names=["a", "a"])
    with pytest.raises(ValueError, match="names takes a list of names, got 'ab'"):
        AmortizedPosterior(InvertibleNetwork(2), names="ab")
    with pytest.raises(ValueError, match="lower takes one bound"):
        AmortizedPosterior(InvertibleNetwork(2), lower=[0.0, 0.0, 0.0])
    for seed in (-1, "a"):
        with pytest.raises(ValueError, match=f"seed takes a whole number from 0 on, got {seed!r}"):
            posterior().sample(DATA, 5, seed=seed)
    with pytest.raises(ValueError, match=r"theta takes .* shape \(40, 3\), .* got \(3,\)"):
        posterior().log_prob(THETA[0], DATA)


def test_networks_that_are_none_are_refused():
    with pytest.raises(TypeError, match="inference_net takes an InvertibleNetwork, got <DeepSet"):
        AmortizedPosterior(DeepSet(), InvertibleNetwork(2))
    for network in (DeepSet, np.mean):
        with pytest.raises(TypeError, match="summary_net takes a Keras layer, or None, got"):
            AmortizedPosterior(InvertibleNetwork(2), network)


@pytest.mark.parametrize("network", [DeepSet, SetTransformer, TimeSeriesNetwork])
def test_a_data_set_of_no_elements_is_the_same_with_and_without_a_mask(network):
    made = AmortizedPosterior(InvertibleNetwork(3, 1), network(3, units=8))
    made.adapt(THETA, {"x": DATA["series"], "mask": np.tile(np.arange(7) < 4, (len(THETA), 1))})
    missing = made.log_prob(THETA[:2], {"x": np.zeros((2, 7, 2)), "mask": np.zeros((2, 7), bool)})
    np.testing.assert_allclose(made.log_prob(THETA[:2], {"x": np.zeros((2, 0, 2))}), missing, atol=1e-5)


def test_a_parameter_that_is_nan_has_no_density(trained):
    theta = THETA[:2].copy()
    theta[1, 0] = np.nan
    found = trained.log_prob(theta, rows(DATA, slice(2)))
    assert np.isfinite(found[0])
    assert np.isnan(found[1])
