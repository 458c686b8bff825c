"""Where raw data go, and what is said of data that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from cinnflow.inference.configurator import Configurator
from cinnflow.inference.raw_data import conditions_of

RNG = np.random.default_rng(0)


def data(count=3):
    return {
        "cases": RNG.normal(size=(count, 14)),
        "pupils": RNG.normal(size=count),
        "ages": RNG.normal(size=(count, 14, 2)),
        "wards": RNG.normal(size=(count, 4)),
        "grid": RNG.normal(size=(count, 14, 2, 2)),
    }


def test_arrays_of_the_first_one_s_length_become_channels_and_the_rest_direct_conditions():
    raw = data()
    configured = Configurator.from_data(raw)(raw)
    assert set(configured) == {"summary_conditions", "direct_conditions"}
    np.testing.assert_array_equal(
        configured["summary_conditions"],
        np.concatenate([raw["cases"][..., None], raw["ages"], raw["grid"].reshape(3, 14, 4)], axis=-1),
    )
    np.testing.assert_array_equal(
        configured["direct_conditions"], np.concatenate([raw["pupils"][:, None], raw["wards"]], axis=-1)
    )


def test_without_a_summary_network_everything_is_a_direct_condition():
    raw = data()
    configured = Configurator.from_data(raw, summary=False)(raw)
    assert set(configured) == {"direct_conditions"}
    assert configured["direct_conditions"].shape == (3, 14 + 1 + 28 + 4 + 56)


def test_an_array_alone_is_called_x():
    configured = Configurator.from_data(np.zeros((5, 7, 2)))({"x": np.ones((2, 7, 2))})
    assert configured["summary_conditions"].shape == (2, 7, 2)


def test_the_order_of_names_is_that_of_the_first_data():
    raw = data()
    configurator = Configurator.from_data(raw)
    shuffled = {name: raw[name] for name in reversed(raw)}
    np.testing.assert_array_equal(configurator(shuffled)["summary_conditions"], configurator(raw)["summary_conditions"])


def test_a_configurator_made_again_from_its_configuration_is_the_same():
    raw = data()
    configurator = Configurator.from_data(raw)
    copy = Configurator(**configurator.get_config())
    np.testing.assert_array_equal(copy(raw)["direct_conditions"], configurator(raw)["direct_conditions"])


def test_with_a_mask_the_number_of_elements_may_vary():
    configurator = Configurator.from_data({"x": np.zeros((5, 7, 2)), "mask": np.ones((5, 7), bool)})
    configured = configurator({"x": np.zeros((2, 30, 2)), "mask": np.ones((2, 30), bool)})
    assert configured["summary_mask"].shape == (2, 30)
    assert "summary_mask" not in configurator({"x": np.zeros((2, 3, 2))})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": np.zeros((2, 8))}, r"'x' take the shape \(data sets, 7\).*got \(2, 8\); .* had 7 elements each"),
        ({"x": np.zeros((2, 7, 1))}, r"'x' take the shape \(data sets, 7\).*got \(2, 7, 1\)$"),
        ({"x": np.zeros(7)}, "one data set alone needs a first axis of length 1"),
        ({"x": np.zeros((2, 7)), "y": np.zeros(3)}, "same number of data sets"),
        ({"x": np.zeros((2, 7)), "y": np.zeros(2), "mask": np.ones((2, 6), bool)}, "mask"),
        ({"z": np.zeros((2, 7)), "y": np.zeros(2)}, "names x, y, got z, y"),
        ({}, "got none"),
    ],
)
def test_data_that_do_not_fit_are_refused_with_what_fits(given, message):
    configurator = Configurator({"x": (7,), "y": ()})
    if set(given) == {"x"}:
        given = {**given, "y": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        configurator(given)


def test_numbers_alone_need_no_summary_network():
    with pytest.raises(ValueError, match="leave the summary network out"):
        Configurator({"x": (), "y": ()})


def test_an_array_alone_goes_by_the_one_name_that_there_is():
    counts = np.arange(28.0).reshape(2, 14)
    one = Configurator.from_data({"in_bed": counts})
    np.testing.assert_array_equal(one(counts)["summary_conditions"], one({"in_bed": counts})["summary_conditions"])
    with pytest.raises(ValueError, match="data take the names a, b, got x"):
        Configurator.from_data({"a": counts, "b": counts})(counts)


def test_contexts_follow_the_data_and_those_that_are_shared_stand_there_for_each_simulation():
    simulated = {
        "prior_draws": np.zeros((3, 2)),
        "sim_data": np.zeros((3, 7, 2)),
        "prior_batchable_context": None,
        "prior_non_batchable_context": 2.5,
        "sim_batchable_context": {"dose": np.arange(3.0)},
        "sim_non_batchable_context": {"n_obs": np.int64(7), "times": np.arange(7)},
    }
    conditions = conditions_of(simulated)
    assert list(conditions) == ["x", "prior_non_batchable_context", "dose", "n_obs", "times"]
    configured = Configurator.from_data(conditions)(conditions)
    np.testing.assert_array_equal(configured["direct_conditions"], [[2.5, 0, 7], [2.5, 1, 7], [2.5, 2, 7]])
    np.testing.assert_array_equal(configured["summary_conditions"][:, :, 2], [np.arange(7)] * 3)
    with pytest.raises(ValueError, match="have the name 'x'"):
        conditions_of({**simulated, "sim_batchable_context": {"x": np.arange(3.0)}})
    array = np.zeros((3, 7))
    assert conditions_of({"sim_data": array}) is array


def test_a_context_that_is_the_number_of_elements_need_not_be_given():
    batches = [{"x": np.ones((2, n, 1)), "n_obs": np.full(2, n), "dose": np.ones(2)} for n in (3, 5)]
    mask = np.arange(6) < np.array([[4], [2]])
    masked = {"x": np.ones((2, 6, 1)), "n_obs": mask.sum(axis=1), "dose": np.ones(2), "mask": mask}
    for configurator in (Configurator.from_data(*batches), Configurator.from_data(masked)):
        assert configurator.lengths == ["n_obs"]
        copy = Configurator(**configurator.get_config())
        for given in ({"x": np.ones((2, 9, 1)), "dose": np.ones(2)}, masked):
            expected = given.get("n_obs", np.full(2, 9))
            without = {name: array for name, array in given.items() if name != "n_obs"}
            np.testing.assert_array_equal(copy(without)["direct_conditions"], np.stack([expected, np.ones(2)], axis=1))
    alone = Configurator.from_data(*({"x": batch["x"], "n_obs": batch["n_obs"]} for batch in batches))
    np.testing.assert_array_equal(alone(np.ones((2, 4, 1)))["direct_conditions"], [[4], [4]])


def test_data_sets_may_be_as_long_as_any_in_training():
    def data(elements):
        return {"x": np.ones((2, elements, 1)), "mask": np.ones((2, elements), bool)}

    configurator = Configurator.from_data(data(5))
    configurator.check(data(5))
    with pytest.raises(ValueError, match="data set 0 is 6 long, and those in training were at most 5 long"):
        Configurator(**configurator.get_config()).check(data(6))
    configurator.admit(data(9), data(4))
    configurator.check(data(9))
    Configurator.from_data(np.ones((2, 5, 1)), varying=True).check(np.ones((2, 9, 1)))


def test_arrays_that_vary_in_length_are_the_elements_whatever_stands_before_them():
    data = {"total": np.ones((2, 2)), "x": np.ones((2, 6, 3)), "mask": np.ones((2, 6), bool)}
    configured = Configurator.from_data(data)(data)
    assert configured["summary_conditions"].shape == (2, 6, 3)
    assert configured["direct_conditions"].shape == (2, 2)
    one_batch = {"x": np.ones((2, 6, 3))}
    assert (
        Configurator.from_data(one_batch, varying=True)({"x": np.ones((2, 9, 3))})["summary_conditions"].shape[1] == 9
    )


def test_what_a_mask_leaves_out_may_be_nan_and_a_missing_name_is_told():
    x = np.ones((2, 3, 1))
    x[0, 2] = np.nan
    mask = np.array([[True, True, False], [True, True, True]])
    configurator = Configurator.from_data({"x": x, "dose": np.ones(2), "n_obs": mask.sum(axis=1), "mask": mask})
    configured = configurator({"x": x, "dose": np.ones(2), "mask": mask})
    np.testing.assert_array_equal(configured["summary_conditions"][..., 0], mask)
    with pytest.raises(ValueError, match="data take the names x, dose, got x"):
        configurator({"x": x})


def test_data_without_a_summary_network_have_a_size_that_contexts_leave_alone_and_may_not_vary():
    dose = {"x": np.zeros((3, 5)), "dose": np.ones(3)}
    configurator = Configurator.from_data(dose, summary=False, varying=True)
    assert configurator(dose)["direct_conditions"].shape == (3, 6)
    with pytest.raises(ValueError, match="the number of elements of x varies, which takes a summary network"):
        Configurator.from_data(np.zeros((3, 5)), np.zeros((3, 6)), summary=False)
