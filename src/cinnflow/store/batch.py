"""Runs one batch of simulations and commits it to the store."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cinnflow.simulation.generative_model import GenerativeModel, named_contexts
from cinnflow.simulation.outcome import Outcome, Status
from cinnflow.simulation.padding import common_length, pad, varying
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.workers import Limits, Task, run_all
from cinnflow.simulation.working_folder import remove_folder
from cinnflow.store.chunks import decode, encode
from cinnflow.store.declared_files import DeclaredFiles
from cinnflow.store.description import Description, read_description, write_description
from cinnflow.store.journal import Entry, Journal, open_journal
from cinnflow.store.layout import RECORDS, STATUS, Store, StoreError, context_spec, place, theta_spec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """One batch of one split, as a job is asked for it.

    Args:
        store: the store that it belongs to.
        split: `round-0`, `test`, ...
        number: which batch of the split.
        size: simulations in it.
    """

    store: Store
    split: str
    number: int
    size: int

    @property
    def indices(self) -> range:
        """Which simulations of the split it holds."""
        return range(self.number * self.size, (self.number + 1) * self.size)

    @property
    def scratch(self) -> Path:
        """The batch's own folder while it runs."""
        return self.store.scratch / self.split / str(self.number)

    @property
    def journal(self) -> Path:
        """Path of the batch's journal."""
        return self.scratch / "journal"

    @property
    def misshapen(self) -> Path:
        """Path of the journal of its simulations that failed for their shape alone."""
        return self.store.misshapen / self.split / str(self.number)

    @property
    def committed(self) -> bool:
        """Whether the batch is in the store."""
        return self.store.chunk(self.split, STATUS, self.number).exists()


def run_batch(
    batch: Batch,
    model: GenerativeModel,
    seed: int,
    fingerprint: Mapping[str, str],
    limits: Limits,
    theta: np.ndarray | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
    context: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Runs what is missing of a batch and commits it; does nothing when it is committed.

    Whatever a killed job has journalled is not run again. Of two processes at one batch, the second waits for the
    first and then finds the batch committed.

    Args:
        batch: which one.
        model: a bound generative model.
        seed: the study's seed.
        fingerprint: digest of each part of what a simulation means.
        limits: how simulations are run.
        theta: the batch's parameters (size, parameters) where they do not come from the prior.
        progress: called with how many simulations are done and how many there are.
        context: the contexts of all simulations by name, where they do not draw their own.

    Raises:
        ContextError: when contexts cannot be drawn, or given ones are not the model's.
        StoreError: when the store has batches of another size, or a file that the simulator declares was edited.
        OSError: when the disk is full; what is journalled stays.
    """
    begun = batch.store.batch_size()
    if begun not in (None, batch.size):
        raise of_other_size(batch.store, begun, batch.size)

    def waiting() -> None:
        log.info("another process runs batch %d of %s: waiting for it", batch.number, batch.split)

    with open_journal(batch.journal, waiting) as journal:
        try:
            inputs = _inputs(batch, model, seed, theta, context)
            given = theta is not None or context is not None
            if batch.committed and (not given or _holds(batch, inputs)):
                log.info("batch %d of %s is in the store already", batch.number, batch.split)
            else:
                files = DeclaredFiles(model, fingerprint)
                entries = _complete(batch, model, limits, inputs, given, journal, files, progress)
                _commit(batch, model, entries, fingerprint)
        finally:
            remove_folder(batch.scratch / "work")
        empty_scratch(batch, journal)
    remove_scratch(batch)


def clear_scratch(batch: Batch) -> None:
    """Removes what a job has left that was killed right after it had committed a batch."""
    if batch.scratch.is_dir():
        with open_journal(batch.journal) as journal:
            if batch.committed:
                empty_scratch(batch, journal)
        remove_scratch(batch)


def empty_scratch(batch: Batch, journal: Journal) -> None:
    """Deletes all that is in the scratch folder of a committed batch, its open journal last.

    Once the journal is gone, another process may have the folder, and what it holds then is that process's own.
    """
    for left in batch.scratch.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif left != journal.path:
            with contextlib.suppress(OSError):  # what NFS keeps for a process that waits at a deleted journal
                left.unlink()
    journal.remove()


def remove_scratch(batch: Batch) -> None:
    """Removes the scratch folder of a batch, and those around it, where they are empty.

    Once the journal is closed: until then NFS keeps a deleted file in its folder, under another name.
    """
    for folder in (batch.scratch, batch.scratch.parent, batch.store.scratch):
        with contextlib.suppress(OSError):  # another process, or another batch, works in it
            folder.rmdir()


@dataclass(frozen=True)
class _Input:
    """All that one simulation depends on: its task, and the contexts of prior and simulator by name."""

    task: Task
    context: dict[str, np.ndarray]


def _inputs(
    batch: Batch,
    model: GenerativeModel,
    seed: int,
    theta: np.ndarray | None,
    context: Mapping[str, np.ndarray] | None,
) -> dict[int, _Input]:
    """What each simulation of the batch depends on, by its index; drawn from its own seed where it is not given."""
    inputs = {}
    for row, index in enumerate(batch.indices):
        own_seed = simulation_seed(seed, batch.split, index)
        prior, simulator = model.contexts(own_seed) if context is None else model.given_contexts(context)
        drawn = model.draw(own_seed) if theta is None else theta[row]
        inputs[index] = _Input(Task(index, drawn, own_seed, simulator), named_contexts(prior, simulator))
    return inputs


def _complete(
    batch: Batch,
    model: GenerativeModel,
    limits: Limits,
    inputs: Mapping[int, _Input],
    given: bool,
    journal: Journal,
    files: DeclaredFiles,
    progress: Callable[[int, int], None],
) -> list[Entry]:
    """All entries of the batch in order: the journalled ones, and those of the simulations run here."""
    done = {entry.index: entry for entry in journal.entries if _is_of(entry, inputs.get(entry.index), given)}
    if done:
        log.info("%d of %d simulations were finished before: they are kept", len(done), batch.size)
    waiting = [own.task for index, own in inputs.items() if index not in done]
    progress(len(done), batch.size)
    ended = run_all(model.simulator, waiting, limits, batch.scratch / "work", batch.store.failed / batch.split)
    with contextlib.closing(ended):  # where the journal cannot be written, the workers end now
        for task, outcome in ended:
            files.check()  # before it counts as a simulation of what the files were
            entry = Entry(task.index, task.seed, task.theta, outcome, inputs[task.index].context)
            journal.append(entry)
            done[task.index] = entry
            if outcome.status is not Status.OK:
                lines = outcome.message.splitlines()
                log.warning(
                    "simulation %d %s: %s", task.index, outcome.status.label, "; ".join({lines[0]: 0, lines[-1]: 0})
                )
            progress(len(done), batch.size)
    return [done[index] for index in batch.indices]


def _holds(batch: Batch, inputs: Mapping[int, _Input]) -> bool:
    """Whether a committed batch is of these parameters and contexts."""
    first = inputs[batch.indices[0]]
    specs = {"theta": theta_spec(len(first.task.theta))}
    specs |= {name: context_spec(name, value.shape) for name, value in first.context.items()}
    try:
        stored = {
            name: decode(spec, batch.store.chunk(batch.split, spec, batch.number).read_bytes(), batch.size)
            for name, spec in specs.items()
        }
    except (OSError, StoreError):
        return False
    wanted = [{"theta": own.task.theta, **own.context} for own in inputs.values()]
    return all(np.array_equal(values, [row[name] for row in wanted]) for name, values in stored.items())


def _is_of(entry: Entry, own: _Input | None, given: bool) -> bool:
    """Whether an entry is of this simulation; what is given may be something else than the last time."""
    if own is None or entry.seed != own.task.seed or entry.context.keys() != own.context.keys():
        return False
    pairs = [(entry.theta, own.task.theta), *((entry.context[name], value) for name, value in own.context.items())]
    return not given or all(np.array_equal(found, wanted) for found, wanted in pairs)


def _commit(batch: Batch, model: GenerativeModel, entries: list[Entry], fingerprint: Mapping[str, str]) -> None:
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
