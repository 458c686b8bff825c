"""Batches: every simulation once an epoch, shuffled as a whole, padded under a mask."""

from __future__ import annotations

import numpy as np

from cinnflow.training.batches import InMemoryBatches
from cinnflow.training.compiled_updates import UPDATES_PER_CALL
from cinnflow.training.simulated_batches import OnlineBatches, ReplayBatches, finite_rows, pad_and_stack


def rows_of(batches, number):
    return np.concatenate([rows for _, rows in batches.epoch(number)])


def test_an_epoch_takes_every_simulation_once_in_an_order_of_its_own():
    batches = InMemoryBatches({"parameters": np.zeros((1003, 2))}, batch_size=10, seed=4)
    first, second = rows_of(batches, 1), rows_of(batches, 2)
    assert first.shape == (100, 10) == (batches.updates_per_epoch, 10)
    assert len(np.unique(first)) == 1000
    assert np.any(first != second)
    np.testing.assert_array_equal(first, rows_of(batches, 1))
    # Appended simulations do not stay behind the others.
    assert 0.3 < np.mean(first[:50] >= 500) < 0.7


def test_fewer_simulations_than_a_batch_are_one_batch():
    assert rows_of(InMemoryBatches({"parameters": np.zeros((5, 2))}, batch_size=10, seed=0), 1).shape == (1, 5)


def numbered(kind, **kwargs):
    counter = iter(range(10_000))

    def simulate(count, _):
        return {"parameters": np.full((count, 1), float(next(counter)))}

    return kind(
        simulate, lambda arrays: arrays, batch_size=4, updates_per_epoch=UPDATES_PER_CALL + 10, seed=0, **kwargs
    )


def test_online_batches_are_used_once():
    seen = [pool["parameters"][rows].ravel() for pool, rows in numbered(OnlineBatches).epoch(1)]
    counts = np.unique(np.concatenate(seen), return_counts=True)[1]
    assert len(counts) == UPDATES_PER_CALL + 10
    assert np.all(counts == 4)


def test_a_replay_buffer_holds_the_latest_batches_and_no_more():
    batches = numbered(ReplayBatches, capacity=2 * UPDATES_PER_CALL)
    pools = [pool["parameters"] for number in (1, 2) for pool, _ in batches.epoch(number)]
    assert {len(pool) for pool in pools} == {2 * UPDATES_PER_CALL * 4}
    assert pools[0].max() == UPDATES_PER_CALL - 1
    assert (pools[-1].min(), pools[-1].max()) == (2 * UPDATES_PER_CALL, 4 * UPDATES_PER_CALL - 1)


def test_batches_of_different_size_are_padded_under_a_mask():
    batches = [{"parameters": np.zeros((2, 1)), "summary_conditions": np.ones((2, size, 3))} for size in (5, 20)]
    stacked = pad_and_stack(batches)
    assert stacked["summary_conditions"].shape == (4, 32, 3)
    np.testing.assert_array_equal(stacked["summary_mask"].sum(axis=1), [5, 5, 20, 20])
    np.testing.assert_array_equal(stacked["summary_conditions"].sum(axis=(1, 2)), [15, 15, 60, 60])
    assert "summary_mask" not in pad_and_stack(batches[:1])
    assert pad_and_stack(batches[:1], elements=48)["summary_mask"].shape == (2, 48)


def test_rows_are_finite_only_where_all_of_their_arrays_are():
    arrays = {"parameters": np.array([[1.0], [np.inf], [3.0]]), "x": np.array([[[0.0]], [[0.0]], [[np.nan]]])}
    assert finite_rows(arrays).tolist() == [True, False, False]
