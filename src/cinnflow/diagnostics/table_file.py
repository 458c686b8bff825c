"""Reads tables that an earlier rule has written."""

from __future__ import annotations

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
    try:
        return pd.read_csv(path)
    except ValueError as error:  # empty, no table, or no text
        raise TableError(
            f"{path} is damaged ({str(error).strip()}): delete it and start snakemake again, which makes it anew"
        ) from error
