"""What is held out of training: what was once trained on is never validated on."""

from __future__ import annotations

import numpy as np
import pytest

from cinnflow.training.held_out import held_apart, held_out_of

SHARES = {50: 0.1, 500: 0.1, 5000: 0.03}


def test_what_was_trained_on_is_not_held_out_once_there_are_more_or_only_some_count():
    trained: set[int] = set()
    for count, share in SHARES.items():
        for places in (np.arange(count), np.flatnonzero(np.arange(count) % 3)):
            held_out = held_out_of(places, share, 7)
            assert 0 < held_out.mean() < 2 * share
            assert not trained & set(places[held_out])
            trained |= set(places[~held_out])


def test_one_is_held_out_however_small_the_share():
    assert held_out_of(np.arange(5), 1e-12, 1).tolist() == [True, False, False, False, False]
    rest, apart = held_apart({"parameters": np.arange(5)}, 1e-12, 1)
    assert (len(rest["parameters"]), len(apart["parameters"])) == (4, 1)


@pytest.mark.parametrize("how_many", [3, 0.3])
def test_all_are_either_trained_on_or_held_out_in_their_order(how_many):
    rest, apart = held_apart({"parameters": np.arange(20.0)}, how_many, 2)
    assert sorted([*rest["parameters"], *apart["parameters"]]) == list(range(20))
    for arrays in (rest, apart):
        np.testing.assert_array_equal(arrays["parameters"], np.sort(arrays["parameters"]))
    if isinstance(how_many, int):
        assert len(apart["parameters"]) == how_many
