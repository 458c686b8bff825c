import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stores import fill, make_model, make_store

from cinnflow.store.layout import RECORDS, SEED, STATUS, StoreError, data_spec, decode, encode, place, theta_spec

TEXTS = np.array(["", "a", "naïve — ψ", "two\nlines"], dtype=object)
CHUNKS = {
    "theta": (theta_spec(3), np.arange(12.0).reshape(4, 3)),
    "data": (data_spec("x", (2, 5)), np.linspace(-1, 1, 40).reshape(4, 2, 5)),
    "scalar": (data_spec("n", ()), np.array([1.0, np.nan, np.inf, -0.0])),
    "seed": (SEED, np.array([0, 1, 2**62, -1])),
    "status": (STATUS, np.array([0, 1, 4, 255], np.uint8)),
    "message": (RECORDS[-1], TEXTS),
}
kinds = pytest.mark.parametrize("kind", CHUNKS)


@kinds
def test_what_is_encoded_is_decoded(kind):
    spec, values = CHUNKS[kind]
    decoded = decode(spec, encode(spec, values), 4)
    np.testing.assert_array_equal(decoded, values)
    assert encode(spec, decoded) == encode(spec, values)


@given(hnp.arrays("f8", st.tuples(st.integers(1, 4), st.integers(1, 3))))
@settings(deadline=None, max_examples=30)
def test_every_bit_of_a_number_is_kept(values):
    spec = data_spec("x", values.shape[1:])
    assert decode(spec, encode(spec, values), len(values)).tobytes() == values.tobytes()


@kinds
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_a_damaged_chunk_is_refused(kind, data):
    spec, values = CHUNKS[kind]
    chunk = encode(spec, values)
    damage = data.draw(st.sampled_from(["cut", "flip", "grow", "empty", "zero"]))
    where = data.draw(st.integers(0, len(chunk) - 1))
    damaged = {
        "cut": chunk[:where],
        "flip": chunk[:where] + bytes([chunk[where] ^ (1 << data.draw(st.integers(0, 7)))]) + chunk[where + 1 :],
        "grow": chunk + b"\0" * (where + 1),
        "empty": b"",
        "zero": bytes(len(chunk)),
    }[damage]
    with pytest.raises(StoreError, match=spec.name):
        decode(spec, damaged, 4)


@kinds
@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_a_chunk_of_another_batch_size_is_refused(kind, size):
    spec, values = CHUNKS[kind]
    with pytest.raises(StoreError):
        decode(spec, encode(spec, values), size)


def test_a_file_is_placed_whole_or_not_at_all(tmp_path, monkeypatch):
    target, temporary = tmp_path / "deep" / "file", tmp_path / "scratch" / "file"
    place(target, b"one", temporary)
    assert (target.read_bytes(), temporary.exists()) == (b"one", False)

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cinnflow.store.layout.os.fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        place(target, b"two", temporary)
    assert target.read_bytes() == b"one"


def test_a_store_knows_its_splits_batches_and_batch_size(tmp_path):
    store = make_store(tmp_path)
    assert (store.splits(), store.committed("round-0"), store.batch_size()) == ([], [], None)
    fill(store, make_model(), batches=2, size=4)
    fill(store, make_model(), "test", size=4)
    assert (store.splits(), store.committed("round-0"), store.batch_size()) == (["round-0", "test"], [0, 1], 4)
    record = store.chunk("round-0", STATUS, 0)
    record.write_bytes(record.read_bytes()[:-2])
    assert store.batch_size() == 4, "a damaged commit record does not change it"


def test_a_store_without_a_success_knows_its_batch_size(tmp_path):
    store = fill(make_store(tmp_path), make_model(lambda *_: 1 / 0), size=4)
    assert store.batch_size() == 4
