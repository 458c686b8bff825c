"""Takes simulations made elsewhere into a store, whose batches are then like any others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from cinnflow.simulation.outcome import Status
from cinnflow.store.batch import empty_scratch, remove_scratch
from cinnflow.store.commit import of_other_size, place_batch
from cinnflow.store.description import Description, read_description, write_description
from cinnflow.store.held_out_rows import check_held_out
from cinnflow.store.journal import open_journal
from cinnflow.store.layout import Batch, Store
from cinnflow.store.source import Source, SourceError

_CHECKED = 1024
"""Rows that are looked at at a time where no batch size is given."""


def import_source(
    store: Store, source: Source, held_out: int, batch_size: int, fingerprint: Mapping[str, str]
) -> dict[str, Counter[str]]:
    """Writes the batches of both splits that the store does not have yet; memory holds one of them at a time.

    Chunks of the last batch of a split are whole too: what lies behind the last simulation is filled, as Zarr does at
    the end of an array, with the status 255 that says that there is no simulation. A row with numbers that are not
    finite is kept as a failed simulation.

    Args:
        store: the store.
        source: the file.
        held_out: how many of its last rows are the test split.
        batch_size: simulations in a batch.
        fingerprint: digest of each part of what the simulations mean.

    Returns:
        For each split, the simulations that were taken in, by how they ended.

    Raises:
        SourceError: when the file cannot be read, what it holds out is not like the rest or a copy of some, or
            parameters lie outside the bounds that it declares.
        StoreError: when the store has batches of another size.
    """
    check_held_out(source, held_out)
    description = read_description(store) or _describe(store, source, batch_size, fingerprint)
    if description.batch_size != batch_size:
        raise of_other_size(store, description.batch_size, batch_size)
    splits = source.splits(held_out)
    missing: dict[Batch, range] = {}
    for split, rows in splits.items():
        committed = set(store.committed(split))
        for number, start in enumerate(range(0, len(rows), batch_size)):
            if number not in committed:
                missing[Batch(store, split, number, batch_size)] = rows[start : start + batch_size]
    taken: dict[str, Counter[str]] = {split: Counter() for split in splits}
    for (batch, rows), (theta, data) in zip(missing.items(), source.read(list(missing.values())), strict=True):
        columns = _columns(source, rows, theta, data)
        with open_journal(batch.journal) as journal:
            if not batch.committed:  # by another process, in the meantime
                place_batch(batch, description, _whole(description, columns))
                taken[batch.split].update(Status(int(code)).label for code in columns["status"])
            empty_scratch(batch, journal)
        remove_scratch(batch)
    return taken


def check_rows(source: Source, rows: range) -> np.ndarray:
    """How the simulations in some rows of the file count, ok or not finite (rows,); errors as for `import_source`."""
    statuses = [np.zeros(0, np.uint8)]
    blocks = [rows[start : start + _CHECKED] for start in range(0, len(rows), _CHECKED)]
    for block, (theta, data) in zip(blocks, source.read(blocks), strict=True):
        statuses.append(_columns(source, block, theta, data)["status"])
    return np.concatenate(statuses)


def _describe(store: Store, source: Source, batch_size: int, fingerprint: Mapping[str, str]) -> Description:
    lower, upper = ([float(b) if np.isfinite(b) else None for b in bounds] for bounds in (source.lower, source.upper))
    data = {name: list(shape) for name, shape in source.data.items()}
    description = Description(source.names, lower, upper, data, batch_size, dict(fingerprint))
    first = Batch(store, "round-0", 0, batch_size)
    with open_journal(first.journal) as journal:
        write_description(store, description, first.scratch / "zarr.json")
        empty_scratch(first, journal)
    remove_scratch(first)
    return read_description(store) or description


def _columns(source: Source, rows: range, theta: np.ndarray, data: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the store keeps of these rows."""
    finite = {"theta": np.isfinite(theta).all(axis=1)}
    finite |= {name: np.isfinite(values).reshape(len(rows), -1).all(axis=1) for name, values in data.items()}
    ok = np.logical_and.reduce(list(finite.values()))
    outside = ok[:, None] & ~((theta >= source.lower) & (theta <= source.upper))
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise SourceError(
            f"{source.path}: {source.names[column]} is {theta[row, column]:g} in row {rows[row]} (of {np.sum(outside)} "
            f"such values among {len(rows)} rows), outside its bounds, {source.lower[column]:g} to "
            f"{source.upper[column]:g}: mend the bounds, or leave out such rows"
        )
    messages = np.full(len(rows), "", dtype=object)
    for row in np.flatnonzero(~ok):
        wrong = ", ".join(name for name, good in finite.items() if not good[row])
        messages[row] = f"row {rows[row]} of {source.path.name}: not finite in {wrong}"
    status = np.where(ok, Status.OK, Status.NOT_FINITE).astype(np.uint8)
    columns = {"theta": theta, "status": status, "message": messages}
    for name, values in data.items():
        columns[f"data/{name}"] = np.where(ok.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
    return columns


def _whole(description: Description, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values of a whole batch: those that there are, and each array's fill value for what is not there or not known."""
    values = {}
    for spec in description.arrays:
        dtype = object if spec.dtype == "string" else spec.dtype
        values[spec.name] = np.full((description.batch_size, *spec.shape), spec.fill, dtype)
        if spec.name in columns:
            values[spec.name][: len(columns[spec.name])] = columns[spec.name]
    return values
