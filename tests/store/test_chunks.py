import numpy as np
import pytest
import zarr.storage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from cinnflow.store.chunks import decode, encode
from cinnflow.store.layout import RECORDS, SEED, STATUS, StoreError, data_spec, theta_spec
from cinnflow.store.metadata import create_array

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


def in_memory(spec, size):
    """An array of Zarr's own, of one chunk, and the key of that chunk."""
    memory = zarr.storage.MemoryStore()
    return create_array(spec, memory, size, size), memory, f"{spec.name}/c/0{spec.chunk_suffix}"


@kinds
def test_zarr_writes_the_same_bytes_and_reads_them(kind):
    spec, values = CHUNKS[kind]
    array, memory, key = in_memory(spec, 4)
    array[...] = values
    assert sync(memory.get(key, default_buffer_prototype())).to_bytes() == encode(spec, values)

    array, memory, key = in_memory(spec, 4)
    sync(memory.set(key, default_buffer_prototype().buffer.from_bytes(encode(spec, values))))
    np.testing.assert_array_equal(array[...], values)


@given(st.lists(st.text(), min_size=1, max_size=5))
@settings(max_examples=30)
def test_zarr_writes_any_text_in_the_same_bytes(texts):
    values, spec = np.array(texts, dtype=object), RECORDS[-1]
    array, memory, key = in_memory(spec, len(texts))
    array[...] = values
    chunk = sync(memory.get(key, default_buffer_prototype())).to_bytes()
    assert chunk == encode(spec, values)
    assert list(decode(spec, chunk, len(texts))) == texts


@given(hnp.arrays("f8", st.tuples(st.integers(1, 4), st.integers(1, 3))))
@settings(max_examples=30)
def test_every_bit_of_a_number_is_kept(values):
    spec = data_spec("x", values.shape[1:])
    assert decode(spec, encode(spec, values), len(values)).tobytes() == values.tobytes()


@kinds
@given(data=st.data())
@settings(max_examples=40)
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
