"""How a chunk is encoded: as Zarr does it, without the time that importing Zarr takes, which every batch would pay.

Plain little-endian numbers with a CRC-32C checksum behind them: what a simulation gave stays readable at the speed of
memory, and its bits depend on no version of a compressor. Texts are in UTF-8, each with its length in bytes before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import google_crc32c
import numpy as np

from cinnflow.store.layout import CHECKSUM_BYTES, ArraySpec, StoreError

_COUNT = struct.Struct("<I")
"""A checksum, a number of texts, or a text's length in bytes."""


def encode(spec: ArraySpec, values: np.ndarray) -> bytes:
    """One chunk as it stands in the store: `values` has the batch as its first axis."""
    if spec.dtype == "string":
        content = _encode_texts(values)
    else:
        content = np.asarray(values, _stored_dtype(spec)).reshape(len(values), *spec.shape).tobytes()
    return content + checksum(content)


def decode(spec: ArraySpec, chunk: bytes, batch_size: int) -> np.ndarray:
    """The values of one chunk, first axis the batch.

    Raises:
        StoreError: when the bytes are not a chunk of this kind: truncated, altered, or of another shape.
    """
    content = chunk[:-CHECKSUM_BYTES]
    try:
        if chunk[-CHECKSUM_BYTES:] != checksum(content):
            raise ValueError(f"the checksum of its {len(chunk)} bytes is not the one behind them")
        if spec.dtype == "string":
            return _decode_texts(content, batch_size)
        return decode_numbers(spec, content, batch_size).astype(spec.dtype)
    except (ValueError, struct.error) as error:
        raise StoreError(f"not a chunk of {spec.name}: {error}") from error


def decode_numbers(spec: ArraySpec, content: bytes, batch_size: int) -> np.ndarray:
    """The numbers of a chunk without its checksum, as a view of these bytes.

    Raises:
        ValueError: for another number of bytes than they have.
    """
    return np.frombuffer(content, _stored_dtype(spec)).reshape(batch_size, *spec.shape)


def checksum(content: bytes) -> bytes:
    """What stands behind the content of a chunk."""
    return _COUNT.pack(google_crc32c.value(content))


def _stored_dtype(spec: ArraySpec) -> np.dtype:
    return np.dtype(spec.dtype).newbyteorder("<")


def _encode_texts(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return _COUNT.pack(len(encoded)) + b"".join(_COUNT.pack(len(text)) + text for text in encoded)


def _decode_texts(content: bytes, number: int) -> np.ndarray:
    if _COUNT.unpack_from(content) != (number,):
        raise ValueError(f"it does not hold {number} texts")
    texts, place = [], _COUNT.size
    for _ in range(number):
        (length,) = _COUNT.unpack_from(content, place)
        place += _COUNT.size + length
        texts.append(content[place - length : place].decode())
    if place != len(content):
        raise ValueError(f"its texts have {place} bytes, and it has {len(content)}")
    return np.array(texts, dtype=object)
