"""Where raw data go, and what is said of data that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from cinnflow.inference.configurator import Configurator, is_configured

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
        ({"x": np.zeros((2, 8))}, r"'x' take the shape \(data sets, 7\).*got \(2, 8\)"),
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


def test_configured_data_are_told_by_their_names():
    assert is_configured({"summary_conditions": np.zeros((2, 3, 1))})
    assert not is_configured({"summary_conditions": np.zeros((2, 3, 1)), "x": np.zeros(2)})
    assert not is_configured(np.zeros(3))


def test_an_array_alone_goes_by_the_one_name_that_there_is():
    counts = np.arange(28.0).reshape(2, 14)
    one = Configurator.from_data({"in_bed": counts})
    np.testing.assert_array_equal(one(counts)["summary_conditions"], one({"in_bed": counts})["summary_conditions"])
    with pytest.raises(ValueError, match="data take the names a, b, got x"):
        Configurator.from_data({"a": counts, "b": counts})(counts)
