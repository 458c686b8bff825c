"""The manifest of a split: which bytes of the store a study reads."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cinnflow.simulation.outcome import Status
from cinnflow.store.description import read_description
from cinnflow.store.layout import ArraySpec, Batch, Store, StoreError


@dataclass(frozen=True)
class Manifest:
    """What a study reads of one split; nothing in it changes from run to run.

    Args:
        store: name of the store.
        split: name of the split.
        batches: how many batches, from the first.
        batch_size: simulations in each.
        counts: simulations by how they ended.
        chunks: for each array that training reads, a digest of each batch's chunk; None where a batch has none.
    """

    store: str
    split: str
    batches: int
    batch_size: int
    counts: dict[str, int]
    chunks: dict[str, list[str | None]]

    @property
    def simulations(self) -> int:
        """Simulations of the split, failed ones included."""
        return sum(self.counts.values())

    @property
    def failed_share(self) -> float:
        """Share of the simulations that failed."""
        return failed_share(self.counts)

    def text(self) -> str:
        """The manifest as it stands in its file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest.

    Raises:
        StoreError: when the file is damaged.
    """
    try:
        return Manifest(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}): delete it and start snakemake again, which seals anew"
        ) from error


def manifests_of(results: Path, store: Store, split: str) -> list[tuple[Path, Manifest]]:
    """The manifests, with their paths, of all studies that read a split of a store.

    Args:
        results: the folder of all studies' results.
        store: the store.
        split: name of the split.

    Raises:
        StoreError: when one of them is damaged.
    """
    found = []
    for path in sorted(results.glob(f"*/manifest/{split}.json")):
        with contextlib.suppress(FileNotFoundError):  # another process has withdrawn it in the meantime
            found.append((path, read_manifest(path)))
    return [(path, manifest) for path, manifest in found if manifest.store == store.name]


def withdraw_stale(results: Path, batch: Batch) -> list[Path]:
    """Deletes the manifests of all studies that list other bytes for a batch than the store now holds.

    A simulator whose output its seed does not fix gives something else when a batch runs again; what was computed from
    the old bytes must then not pass for a result of the new ones.

    Args:
        results: the folder of all studies' results.
        batch: a batch that was just committed.

    Returns:
        The manifests that are gone.
    """
    description = read_description(batch.store)
    withdrawn = []
    for path, manifest in manifests_of(results, batch.store, batch.split) if description else []:
        if batch.number < manifest.batches and any(
            manifest.chunks[spec.name][batch.number] != chunk_digest(batch.store, batch.split, spec, batch.number)
            for spec in description.trained
        ):
            path.unlink(missing_ok=True)
            withdrawn.append(path)
    return withdrawn


def changed_chunk(path: Path, manifest: Manifest) -> StoreError:
    """What is said of a chunk whose bytes are not those that were sealed."""
    if not path.exists():
        return StoreError(
            f"{path} is gone. Where `cinnflow verify --repair` took it back, run snakemake once more, which runs its "
            "batch again; else `cinnflow verify` names every such chunk, and --repair takes their batches back"
        )
    return StoreError(
        f"{path} is not what was sealed: it is damaged, or its batch ran again and came out differently. "
        "`cinnflow verify` names every such chunk, and with --repair their batches run again; if what "
        f"stands there now is right, delete the study's manifest of {manifest.split} to seal and train anew"
    )


def chunk_digest(store: Store, split: str, spec: ArraySpec, batch: int) -> str | None:
    """Digest of one chunk's bytes, None where there is no such chunk."""
    path = store.chunk(split, spec, batch)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32] if path.exists() else None


def failed_share(counts: dict[str, int]) -> float:
    """Share of the simulations that failed, from their number by how they ended."""
    simulations = sum(counts.values())
    return (simulations - counts[Status.OK.label]) / simulations
