"""The seal: checks a split once every batch that a study wants is there, and writes down what it holds.

Without a seal nobody reads a split. It writes the split's Zarr metadata, which only ever grow, since studies with other
budgets share the store; and the study's manifest, with a digest of every chunk that training reads.
"""

from __future__ import annotations

import contextlib
import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from cinnflow.simulation.folder_lock import alone_with
from cinnflow.simulation.outcome import Status
from cinnflow.store.batch import clear_scratch
from cinnflow.store.commit import decode_batch
from cinnflow.store.description import Description, read_description
from cinnflow.store.layout import STATUS, UNKNOWN_STATUS, Batch, Store, StoreError, place
from cinnflow.store.manifest import Manifest, chunk_digest, failed_share, manifests_of

EXCERPT_LINES = 5
GO_ON = (
    "\nTo go on without them, raise simulations.max_failed: the posterior is then conditional on a simulation that "
    "does not fail."
)


@dataclass(frozen=True)
class Effort:
    """What the sealed simulations cost; it may differ from run to run.

    Args:
        seconds: wall time of the simulations, added up.
        attempts: tries that they took.
    """

    seconds: float
    attempts: int


def seal(
    store: Store, split: str, batches: int, batch_size: int, max_failed: float, options: str
) -> tuple[Manifest, Effort]:
    """Checks the first batches of a split and writes its metadata.

    Args:
        store: the store.
        split: which split.
        batches: how many batches the study wants.
        batch_size: simulations in each.
        max_failed: share of failed simulations above which the split does not seal.
        options: what names the study on a command line, for messages: empty, or ` --configfile <file>`.

    Returns:
        The study's manifest of the split, and what its simulations cost.

    Raises:
        StoreError: when a chunk is missing or damaged, or too many simulations failed.
    """
    description = read_description(store)
    columns = ["status", "message", "seconds", "attempts"]
    found: dict[str, list[np.ndarray]] = {name: [] for name in columns}
    for number in range(batches):
        try:
            values = decode_batch(Batch(store, split, number, batch_size), description)
        except StoreError as error:
            raise StoreError(
                f"{split} cannot be sealed: {error}. `cinnflow verify{options} --repair` takes that batch back, and "
                "the next `snakemake` runs it again"
            ) from error
        for name in columns:
            found[name].append(values[name])
    status, messages, seconds, attempts = (np.concatenate(found[name]) for name in columns)
    # Simulations made elsewhere may end within a batch, whose chunks are whole even so.
    there = status != UNKNOWN_STATUS
    status, messages, seconds, attempts = status[there], messages[there], seconds[there], attempts[there]
    counts = {kind.label: int(np.count_nonzero(status == kind)) for kind in Status}
    if description is None and counts[Status.OK.label]:
        raise StoreError(
            f"{store.path}/zarr.json is missing: delete one commit record, "
            f"{store.chunk(split, STATUS, 0)}, and start snakemake again: that batch runs again and writes it anew"
        )
    if description is None or not counts[Status.OK.label] or failed_share(counts) > max_failed:
        imported = description is not None and description.imported
        raise StoreError(_too_many_failures(split, counts, max_failed, status, messages, options, imported))
    digests = {
        spec.name: [chunk_digest(store, split, spec, batch) for batch in range(batches)] for spec in description.trained
    }
    _write_metadata(store, split, description, len(status))
    for number in range(batches):
        clear_scratch(Batch(store, split, number, batch_size))
    manifest = Manifest(store.name, split, batches, batch_size, counts, digests)
    return manifest, Effort(float(np.nansum(seconds)), int(attempts.sum()))


def provenance(effort: Effort, command: str) -> dict[str, Any]:
    """What may differ from one seal to the next: cost, command, host, time and versions."""
    return {
        **asdict(effort),
        "command": command,
        "host": platform.node(),
        "system": platform.platform(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **versions()},
    }


def versions() -> dict[str, str]:
    """Versions of the packages that results may depend on."""
    names = ("cinnflow", "numpy", "scipy", "zarr", "snakemake", "tensorflow", "tensorflow-cpu", "keras", "arviz")
    found = {}
    for name in names:
        with contextlib.suppress(packages.PackageNotFoundError):
            found[name] = packages.version(name)
    return found


def mend_metadata(store: Store, split: str, results: Path) -> bool:
    """Writes the metadata of a sealed split anew where they are gone or damaged, as where the split was lost.

    Its manifests are still there, so that no seal follows.

    Args:
        store: the store.
        split: which split.
        results: the folder of all studies' results, whose manifests tell what was sealed.

    Returns:
        Whether they were.
    """
    description = read_description(store)
    if description is None:
        return False
    names = {spec.name for spec in description.arrays} | {"parameter"}
    groups = {name.partition("/")[0] for name in names}
    paths = [store.path / split / name / "zarr.json" for name in sorted({"", *groups, *names})]
    damaged = [path for path in paths if not _is_metadata(path)]
    if not damaged and _is_metadata(store.path / "zarr.json", "consolidated_metadata"):
        return False
    sealed = [manifest.simulations for _, manifest in manifests_of(results, store, split)]
    if sealed:
        for path in damaged:
            path.unlink(missing_ok=True)
        _write_metadata(store, split, description, max(sealed))
    return bool(sealed)


def _is_metadata(path: Path, key: str = "zarr_format") -> bool:
    """Whether a file is JSON with a key that says so."""
    try:
        return key in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _write_metadata(store: Store, split: str, description: Description, simulations: int) -> None:
    """Writes the split's zarr.json files for at least this many simulations; they never shrink."""
    # Zarr takes longer to import than all else that a batch needs, which asks whether anything is to be mended.
    from cinnflow.store.metadata import consolidated_metadata, split_metadata

    temporary = store.path / ".sealing"
    with alone_with(store.path / "zarr.json"):
        root = store.path / split
        with contextlib.suppress(FileNotFoundError):
            simulations = max(simulations, _sealed_simulations(root / "status/zarr.json"))
        files = split_metadata(description.arrays, simulations, description.batch_size, description.parameters)
        for name, content in files.items():
            place(root / name, content, temporary)
        place(store.path / "zarr.json", consolidated_metadata(store.path), temporary)


def _sealed_simulations(path: Path) -> int:
    try:
        return int(json.loads(path.read_text())["shape"][0])
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error!r}): delete it and start snakemake again, which writes it anew"
        ) from error


def _too_many_failures(
    split: str,
    counts: dict[str, int],
    max_failed: float,
    status: np.ndarray,
    messages: np.ndarray,
    options: str,
    imported: bool,
) -> str:
    """What a user needs to decide what to do about failures."""
    reasons = ", ".join(f"{count} {label}" for label, count in counts.items() if count and label != Status.OK.label)
    examples = [
        f"simulation {index}, {Status(int(status[index])).label}:\n    " + "\n    ".join(_excerpt(messages[index]))
        for index in np.flatnonzero(status != Status.OK)[:2]
    ]
    retried = ",".join(Status(kind).name.lower() for kind in np.unique(status[status != Status.OK]))
    some = counts[Status.OK.label] > 0
    again = f"To run them again:  cinnflow retry{options} --reason {retried}"
    mend = "They were made elsewhere: mend them in the file simulations.source, or leave them out there."
    return (
        f"{split} does not seal: {failed_share(counts):.1%} of its {len(status)} simulations failed ({reasons}), "
        + (f"more than simulations.max_failed: {max_failed:g} allows.\n" if some else "so there is nothing to learn.\n")
        + "\n".join(examples)
        + f"\n{mend if imported else again}"
        + (GO_ON if some else "")
    )


def _excerpt(message: str) -> list[str]:
    """How a simulation failed, and the end of what it wrote to its standard error."""
    first, *others = message.splitlines()
    return [first, *others[-EXCERPT_LINES:]]
