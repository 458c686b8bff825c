"""What a committed batch is: its chunks, its commit record last, and what they decode to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.simulation.padding import common_length, pad, varying
from cinnflow.store.chunks import decode, encode
from cinnflow.store.description import Description, read_description, write_description
from cinnflow.store.journal import Entry, open_journal
from cinnflow.store.layout import RECORDS, STATUS, Batch, Store, StoreError, place


def commit(batch: Batch, model: GenerativeModel, entries: list[Entry], fingerprint: Mapping[str, str]) -> None:
    """Writes the batch's chunks, its commit record last."""
    padded = [padded_outcome(entry.outcome, model) for entry in entries]
    outcomes, lengths = [outcome for outcome, _ in padded], [length for _, length in padded]
    description = read_description(batch.store)
    shapes = description.data_signature if description else _usual_shapes(outcomes)
    outcomes = [_of_shapes(outcome, shapes) for outcome in outcomes]
    if description is None:
        padded_names = varying(shapes, model.simulator.max_length)
        description = Description.of(model.prior, shapes, batch.size, fingerprint, model.context_shapes, padded_names)
        if shapes:
            write_description(batch.store, description, batch.scratch / "zarr.json")
            description = read_description(batch.store) or description
            outcomes = [_of_shapes(outcome, description.data_signature) for outcome in outcomes]
    if description.batch_size != batch.size:
        raise of_other_size(batch.store, description.batch_size, batch.size)
    _keep_misshapen(
        batch,
        [
            entry
            for entry, (before, _), after in zip(entries, padded, outcomes, strict=True)
            if before.status is Status.OK and after.status is not Status.OK
        ],
    )
    columns = {
        "theta": np.stack([entry.theta for entry in entries]),
        "seed": np.array([entry.seed for entry in entries]),
        "status": np.array([outcome.status for outcome in outcomes], np.uint8),
        "seconds": np.array([outcome.seconds for outcome in outcomes]),
        "attempts": np.array([outcome.attempts for outcome in outcomes]),
        "exit_code": np.array([outcome.exit_code for outcome in outcomes]),
        "message": np.array([outcome.message for outcome in outcomes], dtype=object),
        "length": np.array([n if o.status is Status.OK else 0 for n, o in zip(lengths, outcomes, strict=True)]),
    }
    for name in description.context:
        columns[f"context/{name}"] = np.stack([entry.context[name] for entry in entries])
    for name, shape in description.data_signature.items():
        missing = np.full(shape, np.nan)
        columns[f"data/{name}"] = np.stack([outcome.data.get(name, missing) for outcome in outcomes])
    place_batch(batch, description, columns)


def _keep_misshapen(batch: Batch, entries: list[Entry]) -> None:
    """Keeps whole what fails for its shape alone: the shape of the first batch may turn out to be the odd one."""
    batch.misshapen.unlink(missing_ok=True)
    if entries:
        with open_journal(batch.misshapen) as journal:
            for entry in entries:
                journal.append(entry)
            journal.sync()  # before the commit record says that they failed


def place_batch(batch: Batch, description: Description, columns: Mapping[str, np.ndarray]) -> None:
    """Writes the chunks of a batch, its commit record last.

    Args:
        batch: which one.
        description: of its store.
        columns: the values of each of its arrays by name, first axis the batch.
    """
    batch.store.chunk(batch.split, STATUS, batch.number).unlink(missing_ok=True)
    nothing = not np.any(columns["status"] == Status.OK)
    for spec in description.arrays:
        path = batch.store.chunk(batch.split, spec, batch.number)
        # A batch without data has no chunks of them, whether or not another one has told their shapes by now.
        if nothing and spec.of_output:
            path.unlink(missing_ok=True)
        else:
            place(path, encode(spec, columns[spec.name]), batch.scratch / "chunk")


def of_other_size(store: Store, begun: int, asked: int) -> StoreError:
    """The error of a batch of another size than those that a store already has."""
    return StoreError(
        f"{store.path} has batches of {begun} simulations, got {asked}: set simulations.batch_size: {begun}"
    )


def padded_outcome(outcome: Outcome, model: GenerativeModel) -> tuple[Outcome, int]:
    """The outcome with its data as the store keeps them, and how long they were."""
    if outcome.status is not Status.OK:
        return outcome, 0
    clashing = sorted(outcome.data.keys() & model.context_shapes.keys())
    if clashing:
        return outcome.failed(Status.UNREADABLE, f"output {clashing[0]!r} has the name of a context: rename one"), 0
    maximum = model.simulator.max_length
    return replace(outcome, data=pad(outcome.data, maximum, np.nan)), common_length(outcome.data, maximum)


def _usual_shapes(outcomes: list[Outcome]) -> dict[str, tuple[int, ...]]:
    """The shapes that most simulations of a batch give; none where all have failed."""
    signatures = Counter(signature(outcome) for outcome in outcomes if outcome.status is Status.OK)
    return dict(signatures.most_common(1)[0][0]) if signatures else {}


def signature(outcome: Outcome) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of its data, in one order."""
    return tuple(sorted((name, array.shape) for name, array in outcome.data.items()))


def _of_shapes(outcome: Outcome, shapes: dict[str, tuple[int, ...]]) -> Outcome:
    """The outcome, failed where its data have other names or shapes than the store's."""
    if outcome.status is not Status.OK or signature(outcome) == tuple(sorted(shapes.items())):
        return outcome
    got = ", ".join(f"{name} {array.shape}" for name, array in sorted(outcome.data.items()))
    expected = ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))
    hint = ""
    if {name: array.shape[1:] for name, array in outcome.data.items()} == {n: s[1:] for n, s in shapes.items()}:
        hint = ". Where the first axis varies, declare the most that it can be: max_length=... of the simulator"
    return outcome.failed(Status.UNREADABLE, f"the output is {got}; the other simulations give {expected}{hint}")


def decode_batch(batch: Batch, description: Description | None) -> dict[str, np.ndarray]:
    """All values of a committed batch by array name, each chunk checked.

    Args:
        batch: which one.
        description: the store's; None while no simulation at all has succeeded, and there are no data.

    Raises:
        StoreError: for the first chunk that is missing or damaged, by its path.
    """
    specs = description.arrays if description else [*RECORDS, STATUS]
    values: dict[str, np.ndarray] = {}
    for spec in reversed(specs):  # the commit record first: it says whether there are data at all
        path = batch.store.chunk(batch.split, spec, batch.number)
        try:
            values[spec.name] = decode(spec, path.read_bytes(), batch.size)
        except FileNotFoundError as error:
            if spec.of_output and not np.any(values["status"] == Status.OK):
                values[spec.name] = np.full((batch.size, *spec.shape), spec.fill, spec.dtype)
                continue
            raise StoreError(f"{path} is missing") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        except StoreError as error:
            raise StoreError(f"{path} is damaged: {error}") from error
    return values
