"""The successful simulations of sealed splits, chunk by chunk, also where they do not fit into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cinnflow.simulation.outcome import Status
from cinnflow.store.chunks import checksum, decode_numbers
from cinnflow.store.description import read_description
from cinnflow.store.layout import CHECKSUM_BYTES, SEED, STATUS, ArraySpec, Store, StoreError, theta_spec
from cinnflow.store.manifest import Manifest, changed_chunk
from cinnflow.store.reader import GONE, Simulations, simulations_of


class StoredSimulations:
    """Simulations that succeeded, in the order of their splits; only how they ended is kept in memory.

    Args:
        folder: where stores stand.
        manifests: the study's manifests of the splits, which may be of several stores of the same model.
        inside: whether parameters (n, parameters) lie where simulations are wanted (n,); by default everywhere.

    Raises:
        StoreError: here and on reading, when the store is not there, or its bytes are not those of a manifest.
    """

    def __init__(
        self,
        folder: Path,
        manifests: Sequence[Manifest],
        inside: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self._folder = folder
        store = Store(folder / f"{manifests[0].store}.zarr")
        description = read_description(store)
        if description is None:
            raise StoreError(f"there is no store {store.path}: {GONE}")
        self.names = description.parameters
        self.lower, self.upper = description.bounds
        self._description = description
        self._specs = [spec for spec in description.trained if spec not in (SEED, STATUS)]
        self._manifests = list(manifests)
        self._chunks = [(manifest, batch) for manifest in manifests for batch in range(manifest.batches)]
        self._checksums: dict[Path, bytes] = {}
        """Of the chunks that were found to be what was sealed."""
        self._ok = [self._read(STATUS, manifest, batch) == Status.OK for manifest, batch in self._chunks]
        self.numbers = np.arange(sum(np.count_nonzero(ok) for ok in self._ok))
        """Number of each simulation among all that succeeded, wanted or not (simulations,)."""
        if inside is not None:
            theta = theta_spec(len(self.names))
            wanted = [inside(self._read(theta, *chunk)[ok]) for chunk, ok in zip(self._chunks, self._ok, strict=True)]
            for ok, found in zip(self._ok, wanted, strict=True):
                ok[ok] = found
            self.numbers = np.flatnonzero(np.concatenate(wanted))
        self.starts = np.concatenate([[0], np.cumsum([np.count_nonzero(ok) for ok in self._ok])])
        """Number of the first simulation of each chunk, and after the last the number of simulations."""

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self._chunks)

    @property
    def bytes_each(self) -> int:
        """Bytes of one simulation in memory."""
        return sum(8 * int(np.prod(spec.shape)) for spec in self._specs)

    @property
    def theta(self) -> np.ndarray:
        """Parameters of all of them (simulations, parameters)."""
        spec = theta_spec(len(self.names))
        return np.concatenate([self._read(spec, *chunk)[ok] for chunk, ok in zip(self._chunks, self._ok, strict=True)])

    @property
    def digest(self) -> str:
        """What tells these simulations from others."""
        return hashlib.sha256("".join(manifest.text() for manifest in self._manifests).encode()).hexdigest()

    def read(self, chunk: int) -> Simulations:
        """The simulations of one chunk, after checking that they are what was sealed."""
        manifest, batch = self._chunks[chunk]
        ok = self._ok[chunk]
        if not ok.any():  # then there are no chunks of data
            return simulations_of(self._description, {spec.name: np.zeros((0, *spec.shape)) for spec in self._specs})
        return simulations_of(
            self._description, {spec.name: self._read(spec, manifest, batch)[ok] for spec in self._specs}
        )

    def read_all(self) -> Simulations:
        """All simulations at once."""
        return Simulations.concatenated([self.read(chunk) for chunk in range(self.chunks)])

    def _read(self, spec: ArraySpec, manifest: Manifest, batch: int) -> np.ndarray:
        path = Store(self._folder / f"{manifest.store}.zarr").chunk(manifest.split, spec, batch)
        chunk = path.read_bytes() if path.exists() else b""
        content, known = chunk[:-CHECKSUM_BYTES], self._checksums.get(path)
        if known is None:
            same = hashlib.sha256(chunk).hexdigest()[:32] == manifest.chunks[spec.name][batch]
        else:  # on every further pass: a checksum takes a tenth of the time
            same = chunk[-CHECKSUM_BYTES:] == known == checksum(content)
        if not same:
            raise changed_chunk(path, manifest)
        self._checksums[path] = chunk[-CHECKSUM_BYTES:]
        # The seal has decoded these very bytes.
        return decode_numbers(spec, content, manifest.batch_size)


def read_simulations(folder: Path, manifests: Sequence[Manifest]) -> Simulations:
    """Reads the simulations of one or more splits of a store; arguments and errors as for `StoredSimulations`."""
    return StoredSimulations(folder, manifests).read_all()
