"""Tables of results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cinnflow.store.layout import place


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as a CSV file, of which nobody ever sees half."""
    place(path, table.to_csv(index=False).encode())
