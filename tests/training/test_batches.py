"""Batches: every simulation once an epoch, shuffled as a whole, padded under a mask."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest
import tensorflow as tf

from cinnflow.training.batches import InMemoryBatches, finite_rows, made_ahead, pad_and_stack
from cinnflow.training.compiled_updates import UPDATES_PER_CALL
from cinnflow.training.errors import TrainingError
from cinnflow.training.simulated_batches import OnlineBatches, ReplayBatches
from cinnflow.training.simulation_ahead import SimulationAhead


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


def test_what_fills_a_pool_up_is_not_trained_on():
    rows = rows_of(InMemoryBatches({"parameters": np.zeros((100, 2))}, batch_size=10, seed=0, count=37), 1)
    assert rows.shape == (3, 10)
    assert rows.max() < 37


def test_the_next_block_is_made_while_one_is_taken():
    second_made = threading.Event()

    def blocks():
        yield "first"
        second_made.set()
        yield "second"

    taken = []
    for block in made_ahead(blocks()):
        assert second_made.wait(10)
        taken.append(block)
    assert taken == ["first", "second"]


def test_who_stops_does_not_wait_for_the_block_that_is_being_made():
    stopped, made = threading.Event(), threading.Event()

    def blocks():
        yield "first"
        assert stopped.wait(10)
        made.set()
        yield "second"

    ahead = made_ahead(blocks())
    assert next(ahead) == "first"
    ahead.close()
    assert not made.is_set()
    stopped.set()
    assert made.wait(10)


def test_what_fails_in_making_a_block_reaches_training():
    def blocks():
        yield "first"
        raise ValueError("no more")

    ahead = made_ahead(blocks())
    assert next(ahead) == "first"
    with pytest.raises(ValueError, match="no more"):
        next(ahead)


@pytest.fixture
def numbered():
    """Batches of four whose simulations carry the batch's number."""
    with ExitStack() as stack:

        def make(kind, updates_per_epoch=60, epochs=3, **kwargs):
            counter = iter(range(10_000))

            def simulate(count, _):
                return {"parameters": np.full((count, 1), float(next(counter)))}

            ahead = stack.enter_context(SimulationAhead(simulate, 0))
            settings = {"batch_size": 4, "updates_per_epoch": updates_per_epoch, "epochs": epochs, "seed": 0}
            return kind(ahead, dict, tensors, **settings, **kwargs)

        yield make


def tensors(arrays):
    return {name: tf.constant(array) for name, array in arrays.items()}


def values_of(batches, number):
    return [pool["parameters"].numpy()[rows][:, :, 0] for pool, rows in batches.epoch(number)]


def test_online_batches_are_used_once_and_shapes_stay(numbered):
    batches = numbered(OnlineBatches)
    seen = np.concatenate([*values_of(batches, 1), *values_of(batches, 2)])
    np.testing.assert_array_equal(seen, np.repeat(np.arange(120.0)[:, None], 4, axis=1))
    assert {len(pool["parameters"]) for pool, _ in batches.epoch(3)} == {UPDATES_PER_CALL * 4}


@pytest.mark.parametrize(("capacity", "per_epoch"), [(100, 60), (7, 60), (100, 30), (10**12, 30)])
def test_a_replay_buffer_holds_the_latest_batches_and_no_more(numbered, capacity, per_epoch):
    batches = numbered(ReplayBatches, per_epoch, capacity=capacity, order_seed=1)
    for number in (1, 2, 3):
        values = values_of(batches, number)
        assert sum(map(len, values)) == per_epoch
        held = np.unique(batches.buffer["parameters"])
        last = number * per_epoch
        np.testing.assert_array_equal(held[-min(capacity, last) :], np.arange(max(0, last - capacity), last))
        assert min(map(np.min, values)) >= (number - 1) * per_epoch - capacity
    assert len(np.unique(np.concatenate([value.ravel() for value in values]))) > min(capacity, per_epoch) / 2


@pytest.mark.parametrize("per_epoch", [1, 2, 7])
@pytest.mark.parametrize("sizes", [[3], [3, 3, 5], [40, 2], [3, 3, 20, 20, 3, 50, 2], [2, 90, 60, 3, 3]])
def test_a_replay_buffer_holds_sets_of_any_size_whole(sizes, per_epoch):
    elements = iter(sizes * 100)

    def simulate(count, _):
        size = next(elements)
        return {"parameters": np.full((count, 1), float(size)), "summary_conditions": np.ones((count, size, 1))}

    with SimulationAhead(simulate, 0) as ahead:
        batches = ReplayBatches(ahead, dict, tensors, 4, per_epoch, 12, seed=0, capacity=5, order_seed=1)
        for number in range(1, 13):
            for pool, rows in batches.epoch(number):
                drawn = {name: tf.gather(array, rows.ravel()).numpy() for name, array in pool.items()}
                size = drawn["parameters"][:, 0]
                mask = drawn.get("summary_mask", np.ones(drawn["summary_conditions"].shape[:2], bool))
                np.testing.assert_array_equal(mask.sum(axis=1), size)
                np.testing.assert_array_equal(drawn["summary_conditions"][..., 0], mask)


def test_a_batch_without_a_finite_simulation_takes_those_of_another(caplog):
    numbers = iter(range(100))

    def simulate(count, _):
        number = next(numbers)
        return {"parameters": np.full((count, 1), np.nan if number % 3 == 0 else float(number))}

    with SimulationAhead(simulate, 0) as ahead:
        batches = OnlineBatches(ahead, dict, tensors, 4, 6, 1, seed=0)
        np.testing.assert_array_equal(np.concatenate(values_of(batches, 1))[:, 0], [1, 1, 2, 1, 4, 5])
    assert "left out 8 simulations that are not finite, in epoch 1" in caplog.text
    with SimulationAhead(lambda count, _: {"parameters": np.full((count, 1), np.nan)}, 0) as ahead:
        batches = OnlineBatches(ahead, dict, tensors, 4, 6, 1, seed=0)
        with pytest.raises(TrainingError, match="none of the 24 simulations of 6 batches is finite"):
            values_of(batches, 1)


def test_batches_of_different_size_are_padded_under_a_mask():
    batches = [{"parameters": np.zeros((2, 1)), "summary_conditions": np.ones((2, size, 3))} for size in (5, 20)]
    stacked = pad_and_stack(batches)
    assert stacked["summary_conditions"].shape == (4, 32, 3)
    np.testing.assert_array_equal(stacked["summary_mask"].sum(axis=1), [5, 5, 20, 20])
    np.testing.assert_array_equal(stacked["summary_conditions"].sum(axis=(1, 2)), [15, 15, 60, 60])
    assert "summary_mask" not in pad_and_stack(batches[:1])
    assert pad_and_stack(batches[:1], padded_to=48)["summary_mask"].shape == (2, 48)


def test_rows_are_finite_only_where_all_of_their_arrays_are():
    arrays = {"parameters": np.array([[1.0], [np.inf], [3.0]]), "x": np.array([[[0.0]], [[0.0]], [[np.nan]]])}
    assert finite_rows(arrays).tolist() == [True, False, False]
