"""Runs one batch of simulations and commits it to the store."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cinnflow.simulation.generative_model import GenerativeModel, named_contexts
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.seeds import simulation_seed
from cinnflow.simulation.workers import Limits, Task, run_all
from cinnflow.simulation.working_folder import remove_folder
from cinnflow.store.chunks import decode
from cinnflow.store.commit import commit, of_other_size
from cinnflow.store.declared_files import DeclaredFiles
from cinnflow.store.journal import Entry, Journal, open_journal
from cinnflow.store.layout import Batch, StoreError, context_spec, theta_spec

log = logging.getLogger(__name__)


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
                commit(batch, model, entries, fingerprint)
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
