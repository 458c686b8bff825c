import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cinnflow.simulation.outcome import Status, outcome_of


@given(hnp.arrays(st.sampled_from(["f4", "f8", "i4", "u1", "?"]), hnp.array_shapes(min_dims=0), elements={}))
def test_numbers_are_ok_where_all_are_finite(array):
    outcome = outcome_of({"a": array, "b": 1}, 0.5)
    assert outcome.status is (Status.OK if np.isfinite(array).all() else Status.NOT_FINITE)
    if outcome.status is Status.OK:
        np.testing.assert_array_equal(outcome.data["a"], array.astype(float))
        assert outcome.data["b"].shape == ()
    else:
        assert (outcome.data, outcome.seconds) == ({}, 0.5)


@pytest.mark.parametrize(
    "value",
    [None, {}, [], "text", [[1], [1, 2]], {"a": {"b": 1}}, object(), np.array([1j]), np.array(["1978-01-22"], "M8[D]"),
     10**400, {"a/b": 1}, {"": 1}, {"..": 1}, {"zarr.json": 1}, {"simulation": 1}, {"chain": 1}, {"data_set": 1},
     {"x": [1, 2], "x_0": 1}, {"a" * 300: 1}, {"a\n": 1}],
)  # fmt: skip
def test_anything_else_is_unreadable(value):
    outcome = outcome_of(value, 0.0)
    assert (outcome.status, outcome.data) == (Status.UNREADABLE, {})
    assert outcome.message


HIDDEN = np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])


@pytest.mark.parametrize("value", [HIDDEN, list(HIDDEN), HIDDEN > 1, HIDDEN.astype("f4"), np.ma.masked])
def test_what_a_masked_array_hides_is_not_finite(value):
    assert outcome_of(value, 0.0).status is Status.NOT_FINITE
    assert outcome_of(np.ma.array(HIDDEN.data, mask=False), 0.0).data["x"].tolist() == [[1, 2], [3, 4]]


def test_what_is_called_a_mask_is_one():
    assert outcome_of({"x": [1, 2], "mask": [True, False]}, 0.0).status is Status.OK
    data = outcome_of({"x": [1, 2], "mask": [0.3, 1.0]}, 0.0)
    assert data.status is Status.UNREADABLE
    assert "holds 0.3 and the like: give it another name" in data.message


def test_labels():
    assert [status.label for status in Status] == ["ok", "crashed", "timed out", "not finite", "unreadable"]
