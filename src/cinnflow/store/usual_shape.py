"""The shape of a store's data is that of most of its simulations, also where the first batch had another one."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from cinnflow.simulation.generative_model import GenerativeModel
from cinnflow.simulation.outcome import Status
from cinnflow.simulation.padding import varying
from cinnflow.store.chunks import decode
from cinnflow.store.commit import decode_batch, padded_outcome, signature
from cinnflow.store.description import Description, place_description, read_description
from cinnflow.store.journal import is_running, read_journal
from cinnflow.store.layout import STATUS, Batch, Store, StoreError
from cinnflow.store.verify import journal_and_withdraw

Signature = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of what a simulation gives, in one order."""


def check_shape(store: Store, split: str, model: GenerativeModel, options: str) -> None:
    """Checks that a store has the shape that most of its simulations have, whichever batch was the first to end.

    It is not settled here: that takes batches back, which jobs that run beside the seal may depend on.

    Args:
        store: the store.
        split: which of its splits is to be sealed, for the message.
        model: a bound generative model, whose simulations the store holds.
        options: what names the study on a command line, for the message: empty, or ` --configfile <file>`.

    Raises:
        StoreError: when it has another one.
    """
    description = read_description(store)
    if description is None:
        return
    counts, own = _counts(store, description, model), _own(description)
    usual = _usual(counts)
    if usual != own:
        raise StoreError(
            f"{split} does not seal: {counts[usual]} simulations in {store.path} give {_words(usual)}, and the batch "
            f"that ended first gave {_words(own)}, as {counts[own]} do in all.\n"
            f"To let what most give hold, and run none again:  cinnflow retry{options} --reason unreadable"
        )


def settle_shape(store: Store, model: GenerativeModel, results: Path) -> str:
    """Gives a store the shape that most of its simulations have, where that is not the one that it has.

    Its batches are taken back, with all of their simulations on their journals, those among them whose data were kept
    aside for their shape: nothing is run again, wherever this is interrupted.

    Args:
        store: the store.
        model: a bound generative model, whose simulations the store holds.
        results: the folder of all studies' results, whose manifests of the store are withdrawn.

    Returns:
        What was done, in words; empty where the shape is the usual one.

    Raises:
        StoreError: while jobs run whose simulations the store is for.
    """
    description = read_description(store)
    if description is None or not store.misshapen.is_dir():
        return ""
    _check_idle(store)
    counts, own = _counts(store, description, model), _own(description)
    usual = _usual(counts)
    if usual == own:
        return ""
    batches = _committed(store, description)
    for batch in batches:
        decode_batch(batch, description)  # a damaged one is told before any is taken back
    _check_idle(store)
    while batches:  # another study's job may have committed one meanwhile
        for batch in batches:
            of = decode_batch(batch, description)
            journal_and_withdraw(batch, of, range(batch.size), description, results)
        batches = _committed(store, description)
    for folder in store.path.glob("*/data"):
        shutil.rmtree(folder)  # chunks of another shape may have other paths
    shapes = dict(usual)
    data = {name: list(shape) for name, shape in shapes.items()}
    padded = varying(shapes, model.simulator.max_length)
    place_description(store, replace(description, data=data, padded=padded))
    return (
        f"{store.path}: {counts[usual]} simulations give {_words(usual)}, and the first batch gave {_words(own)}. "
        "What most give holds now: the next snakemake takes them up, and runs none of them again"
    )


def _own(description: Description) -> Signature:
    return tuple(sorted(description.data_signature.items()))


def _counts(store: Store, description: Description, model: GenerativeModel) -> Counter[Signature]:
    """How many simulations of the committed batches give data of which shape."""
    own = _own(description)
    counts = Counter({own: 0})
    for batch in _committed(store, description):
        record = store.chunk(batch.split, STATUS, batch.number)
        # One may be taken back meanwhile, or damaged, which is told where the batch itself is read.
        with contextlib.suppress(FileNotFoundError, StoreError):
            counts[own] += int(np.sum(decode(STATUS, record.read_bytes(), batch.size) == Status.OK))
            kept = read_journal(batch.misshapen)
            counts.update(signature(padded_outcome(entry.outcome, model)[0]) for entry in kept)
    return counts


def _usual(counts: Counter[Signature]) -> Signature:
    """The shape that most have; of two that are as frequent the larger one, which no order of batches decides."""
    return max(counts, key=lambda shapes: (counts[shapes], shapes))


def _committed(store: Store, description: Description) -> list[Batch]:
    return [
        Batch(store, split, number, description.batch_size)
        for split in store.splits()
        for number in store.committed(split)
    ]


def _check_idle(store: Store) -> None:
    running = [journal.parent for journal in sorted(store.scratch.glob("*/*/journal")) if is_running(journal)]
    if running:
        raise StoreError(
            f"{running[0]} is being simulated, perhaps for another study: wait until these jobs have ended, and give "
            "the command again"
        )


def _words(shapes: Signature) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes)
