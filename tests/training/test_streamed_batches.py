"""Simulations that do not fit into memory: each used once an epoch, well mixed, in bounded memory, and as good."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from conjugate_gaussian import exact_log_prob, simulate

from cinnflow import config
from cinnflow.config_network import Network
from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.prior import Prior
from cinnflow.simulation.simulator import Simulator
from cinnflow.simulation.workers import Limits
from cinnflow.store.batch import run_batch
from cinnflow.store.chunks import checksum
from cinnflow.store.layout import Batch, Store, StoreError
from cinnflow.store.seal import seal
from cinnflow.store.stored_simulations import StoredSimulations
from cinnflow.training.fit import fit
from cinnflow.training.streamed_batches import StreamedBatches, samples

BATCHES, SIZE = 12, 32


def noisy(theta, rng):
    if theta[0] < -2:
        raise ValueError("too small")
    return theta + rng.standard_normal((10, 2))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store of two rounds in which some simulations have failed, and its manifests."""
    store = Store(tmp_path_factory.mktemp("stores") / "toy-0123abcd.zarr")
    model = GenerativeModel(Prior(lambda rng: rng.standard_normal(2), ["a", "b"]), Simulator(noisy))
    manifests = []
    for split in ("round-0", "round-1"):
        for number in range(BATCHES):
            run_batch(Batch(store, split, number, SIZE), model, 7, {}, Limits())
        manifests.append(seal(store, split, BATCHES, SIZE, 0.5, "")[0])
    return store, manifests


@pytest.fixture
def stored(filled):
    store, manifests = filled
    return StoredSimulations(store.path.parent, manifests)


def streamed(stored, held_out, pool_chunks, batch_size=16, seed=3):
    def prepare(arrays):
        return {name: tf.constant(array) for name, array in arrays.items()}

    pool_bytes = pool_chunks * SIZE * stored.bytes_each
    return StreamedBatches(
        stored, held_out, lambda part: {"parameters": part.theta}, prepare, batch_size, pool_bytes, seed
    )


def epoch_of(batches, number):
    return np.concatenate([pool["parameters"].numpy()[rows] for pool, rows in batches.epoch(number)])


@pytest.mark.parametrize("pool_chunks", [1, 5, 24, 1000])
def test_every_simulation_is_used_once_an_epoch(stored, pool_chunks):
    theta = stored.read_all().theta
    assert 2 * BATCHES * SIZE * 0.9 < len(stored) == len(theta) < 2 * BATCHES * SIZE
    held_out = np.random.default_rng(0).random(len(stored)) < 0.1
    # A count that the batch size divides: none has to sit the epoch out.
    held_out[np.flatnonzero(~held_out)[: np.count_nonzero(~held_out) % 16]] = True
    batches = streamed(stored, held_out, pool_chunks)
    first, second = epoch_of(batches, 1), epoch_of(batches, 2)
    assert first.shape == (batches.updates_per_epoch, 16, 2)
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch[..., 0].ravel()), np.sort(theta[~held_out, 0]))
    assert np.any(first != second)
    np.testing.assert_array_equal(first, epoch_of(streamed(stored, held_out, pool_chunks), 1))


def test_batches_mix_chunks_of_all_rounds_and_memory_is_bounded(stored, monkeypatch):
    chunk_of = {value: chunk for chunk in range(stored.chunks) for value in stored.read(chunk).theta[:, 0]}
    batches = streamed(stored, np.zeros(len(stored), bool), pool_chunks=6)
    held = []
    read = StreamedBatches._read
    monkeypatch.setattr(StreamedBatches, "_read", lambda self, chunks: held.append(len(chunks)) or read(self, chunks))
    chunks = [np.array([chunk_of[value] for value in batch[:, 0]]) for batch in epoch_of(batches, 1)]
    assert max(held) == 6
    assert np.mean([len(np.unique(batch)) for batch in chunks]) > 4
    late = [np.mean(batch >= BATCHES) for batch in chunks]
    assert 0.3 < np.mean(late[: len(late) // 2]) < 0.7


def test_standardization_and_validation_have_what_there_is_room_for(stored):
    held_out = np.arange(len(stored)) % 7 == 0
    everything = stored.read_all()
    sample, validation = samples(stored, held_out, 200 * stored.bytes_each, seed=1)
    np.testing.assert_array_equal(validation.theta, everything.taken(held_out).theta)
    assert len(sample.theta) == 200
    assert set(sample.theta[:, 0]) <= set(everything.theta[~held_out, 0])
    sample, validation = samples(stored, held_out, 20 * stored.bytes_each, seed=1)
    assert len(sample.theta) == len(validation.theta) == 20
    assert set(validation.theta[:, 0]) <= set(everything.theta[held_out, 0])


def test_a_fit_to_what_does_not_fit_into_memory_is_as_good_and_the_same_again(stored):
    network = Network(
        summary={"type": "deep_set", "units": 16, "summary_dim": 4},
        inference={"num_coupling_layers": 1, "num_dense": 1, "units": 16},
    )
    training = config.Training(regime="offline", epochs=25, batch_size=32, learning_rate=5e-3)
    few = 24 * 4 * SIZE * stored.bytes_each  # room for a pool of four chunks
    fits = [fit(stored, network=network, training=training, seed=1, memory=memory) for memory in (few, few, None)]
    assert [found.streamed for found in fits] == [True, True, False]
    weights = [found.posterior.get_weights() for found in fits]
    assert all(np.array_equal(one, other) for one, other in zip(weights[0], weights[1], strict=True))
    fresh = simulate(2000, np.random.default_rng(5))
    theta, x = fresh["prior_draws"], fresh["sim_data"]
    exact = exact_log_prob(theta, x)
    divergence = [np.mean((exact - found.posterior.log_prob(theta, x))[theta[:, 0] > -1.5]) for found in fits]
    assert divergence[0] < 0.25
    assert abs(divergence[0] - divergence[2]) < 0.1


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("valid", [False, True])
def test_bytes_that_were_not_sealed_are_refused(filled, stored, read_before, valid):
    store, _ = filled
    path = store.path / "round-1/data/x/c/3/0/0"
    sealed = path.read_bytes()
    content = sealed[:-9] + b"\1" + sealed[-8:-4]
    if read_before:
        stored.read_all()
    path.write_bytes(content + (checksum(content) if valid else sealed[-4:]))
    try:
        with pytest.raises(StoreError, match="is not what was sealed"):
            stored.read_all()
    finally:
        path.write_bytes(sealed)


def test_simulations_can_be_those_of_a_region(filled):
    store, manifests = filled
    everywhere = StoredSimulations(store.path.parent, manifests)
    theta = everywhere.read_all().theta
    within = StoredSimulations(store.path.parent, manifests, inside=lambda theta: theta[:, 1] > 0)
    np.testing.assert_array_equal(within.read_all().theta, theta[theta[:, 1] > 0])
    np.testing.assert_array_equal(within.numbers, np.flatnonzero(theta[:, 1] > 0))
    np.testing.assert_array_equal(everywhere.numbers, np.arange(len(theta)))
    nowhere = StoredSimulations(store.path.parent, manifests, inside=lambda theta: theta[:, 1] > 100)
    assert len(nowhere) == len(nowhere.read_all().theta) == 0
