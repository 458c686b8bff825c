"""Finds damaged chunks, and takes batches back so that they, and they alone, run again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import Description, read_description
from cinnflow.store.journal import Entry, open_journal, read_journal
from cinnflow.store.layout import STATUS, Batch, Store, StoreError
from cinnflow.store.manifest import Manifest, chunk_digest, manifests_of


@dataclass(frozen=True)
class Damage:
    """A batch that does not hold what it should.

    Args:
        batch: which one.
        problem: its first damaged chunk, and what is wrong with it.
    """

    batch: Batch
    problem: str


def verify(store: Store, results: Path) -> Iterator[Damage]:
    """Checks every committed batch: decodes each chunk, and compares it with the manifests that list it.

    Args:
        store: the store.
        results: the folder of all studies' results, whose manifests tell what was sealed.

    Yields:
        Each damaged batch.
    """
    description = read_description(store)
    listed = {path.stem for path in results.glob("*/manifest/*.json")} - {"provenance"}
    for split in sorted({*store.splits(), *listed}):
        listing = manifests_of(results, store, split)
        sealed = max((manifest.batches for _, manifest in listing), default=0)
        size = (
            description.batch_size
            if description
            else store.batch_size() or max((manifest.batch_size for _, manifest in listing), default=0)
        )
        for number in sorted({*store.committed(split), *range(sealed)}):
            batch = Batch(store, split, number, size)
            problem = _problem(batch, description, listing)
            if problem:
                # It writes anew what the store is lost without, and only then the others can be read.
                last = description is None and batch.committed
                yield Damage(batch, problem)
                if last:
                    return


def take_back(batch: Batch) -> None:
    """Takes back a batch's commit record: nothing of it counts any more, and it runs again."""
    batch.store.chunk(batch.split, STATUS, batch.number).unlink(missing_ok=True)


def withdraw(batch: Batch, results: Path) -> None:
    """Takes back a batch's commit record, and the manifests of all studies that list it."""
    for path, manifest in manifests_of(results, batch.store, batch.split):
        if batch.number < manifest.batches:
            path.unlink(missing_ok=True)
    take_back(batch)


def retry(batch: Batch, reasons: Collection[Status], results: Path, model: GenerativeModel) -> int:
    """Takes back a committed batch so that its failed simulations run again, and only they.

    The other simulations go on the batch's journal first, so that nothing is lost wherever this is interrupted; those
    that failed for their shape alone with their data.

    Args:
        batch: a committed batch.
        reasons: how the simulations ended that are to run again.
        model: a bound generative model, whose simulations the store holds.
        results: the folder of all studies' results, whose manifests of the batch's split are withdrawn.

    Returns:
        How many simulations will run again.
    """
    # A store of which nothing has succeeded yet does not say what it holds.
    description = read_description(batch.store) or Description.of(model.prior, {}, batch.size, {}, model.context_shapes)
    values = decode_batch(batch, description)
    again = np.isin(values["status"], [int(reason) for reason in reasons])
    if not again.any():
        return 0
    rows = [int(row) for row in np.flatnonzero(~again)]
    journal_and_withdraw(batch, values, rows, description, results)
    return int(again.sum())


def journal_and_withdraw(
    batch: Batch, values: dict[str, np.ndarray], rows: Sequence[int], description: Description, results: Path
) -> None:
    """Takes back a committed batch, with some of its simulations on its journal before: these do not run again.

    Args:
        batch: the batch.
        values: all that it holds, as `decode_batch` gives it.
        rows: which of its simulations.
        description: of its store.
        results: the folder of all studies' results, whose manifests that list the batch are withdrawn.
    """
    misshapen = {entry.index: entry for entry in read_journal(batch.misshapen)}
    with open_journal(batch.journal) as journal:
        for row in rows:
            journal.append(misshapen.get(batch.indices[row]) or _entry_of(batch, values, row, description))
        journal.sync()  # before what it stands for is gone
        withdraw(batch, results)


def _problem(batch: Batch, description: Description | None, listing: list[tuple[Path, Manifest]]) -> str | None:
    try:
        values = decode_batch(batch, description)
    except StoreError as error:
        return str(error)
    if description is None:
        succeeded = np.any(values["status"] == Status.OK)
        return f"{batch.store.path / 'zarr.json'} is missing, which this batch writes anew" if succeeded else None
    for path, manifest in listing:
        if batch.number >= manifest.batches:
            continue
        for spec in description.trained:
            if chunk_digest(batch.store, batch.split, spec, batch.number) != manifest.chunks[spec.name][batch.number]:
                chunk = batch.store.chunk(batch.split, spec, batch.number)
                return f"{chunk} is readable, but not what {path} lists"
    return None


def _entry_of(batch: Batch, values: dict[str, np.ndarray], row: int, description: Description) -> Entry:
    """What the journal held of one simulation of a committed batch, from the batch's values."""
    status = Status(int(values["status"][row]))
    names = description.data if status is Status.OK else {}
    # The journal holds what the simulator gave, without what fills it up.
    data = {name: values[f"data/{name}"][row] for name in names}
    data = {
        name: array[: values["length"][row]] if name in description.padded else array for name, array in data.items()
    }
    outcome = Outcome(
        status,
        data,
        float(values["seconds"][row]),
        int(values["attempts"][row]),
        int(values["exit_code"][row]),
        str(values["message"][row]),
    )
    context = {name: values[f"context/{name}"][row] for name in description.context}
    return Entry(batch.indices[row], int(values["seed"][row]), values["theta"][row], outcome, context)
