"""Reads tables that an earlier rule has written."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from cinnflow.errors import PlainError


class TableError(PlainError, ValueError):
    """A table that cannot be read; the message names the file and says what to do."""


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file of results.

    Raises:
        TableError: when it is damaged.
        FileNotFoundError: when it is not there.
    """
    content = path.read_bytes()
    try:
        if b"\0" in content:  # what a disk that lost its power may leave of a file
            raise ValueError("it holds zero bytes")
        return pd.read_csv(io.BytesIO(content))
    except ValueError as error:  # empty, no table, or no text
        raise TableError(
            f"{path} is damaged ({str(error).strip()}): delete it and start snakemake again, which makes it anew"
        ) from error
