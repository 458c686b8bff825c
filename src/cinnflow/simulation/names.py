"""What parameters, data and contexts may be called: stores have folders, and posteriors axes, of these names."""

from __future__ import annotations

LONGEST_NAME = 64
AXES_OF_DRAWS = ("chain", "draw", "data_set")
"""Names of axes in files of posteriors, where nothing else can have them."""
_TAKEN = ("zarr.json", "simulation", "parameter", *AXES_OF_DRAWS)


def checked_name(name: str) -> str:
    """The name of an array of data, where it can be that of a folder of the store, and stand in a file of a posterior.

    Raises:
        ValueError: where it cannot.
    """
    taken = name.startswith((".", "__")) or name in _TAKEN
    if not name or taken or "/" in name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise ValueError(
            f"output name {name[:LONGEST_NAME]!r}: takes 1 to {LONGEST_NAME} printable characters without '/', not "
            f"'.' or '__' first, other than {', '.join(_TAKEN)}"
        )
    return name
