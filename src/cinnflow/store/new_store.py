"""Why simulations are run anew: what differs from the newest store of the same model."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cinnflow.store.description import Description, read_description
from cinnflow.store.fingerprint import ROUND, Fingerprint
from cinnflow.store.layout import Store, StoreError


def what_differs(stores: Path, fingerprint: Fingerprint) -> list[str]:
    """What tells simulations from those in the newest store of the same model and, if truncated, of the same round.

    Args:
        stores: the folder of all stores.
        fingerprint: of simulations that no store holds yet.

    Returns:
        Lines for a person; none where no older store is there.
    """
    older: list[tuple[Store, Description]] = []
    for path in stores.glob(f"{fingerprint.model}-{'[0-9a-f]' * len(fingerprint.digest)}.zarr"):
        description = None
        with contextlib.suppress(StoreError):  # a damaged one tells nothing
            description = read_description(Store(path))
        if description is not None and description.fingerprint.get(ROUND) == fingerprint.parts.get(ROUND):
            older.append((Store(path), description))
    if not older:
        return []
    newest, description = max(older, key=lambda found: (found[0].path / "zarr.json").stat().st_mtime)
    lines = [f"{newest.path} holds simulations of another meaning. What differs:"]
    for part in fingerprint.differences(description.fingerprint):
        if part not in description.fingerprint:
            word = "is new"
        elif part not in fingerprint.parts:
            word = "is gone"
        else:
            word = "changed"
        lines.append(f"  {part} {word}")
    return lines
