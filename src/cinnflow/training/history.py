"""What training did, epoch by epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Epoch:
    """One epoch: its number from 1 on, mean loss of its updates, validation loss after it (nats), and its cost."""

    epoch: int
    loss: float
    validation_loss: float
    learning_rate: float
    seconds: float


class History:
    """A list of epochs that keeps its file up to date; the file is replaced whole, so that it can be read at any time.

    Args:
        path: a CSV file with the columns epoch, loss, validation_loss, learning_rate and seconds; or None.
        epochs: the epochs so far.
    """

    def __init__(self, path: str | Path | None = None, epochs: list[Epoch] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.epochs = list(epochs or [])

    def append(self, epoch: Epoch) -> None:
        """Adds an epoch, and writes the file."""
        self.epochs.append(epoch)
        if self.path is not None:
            self._write()

    def restore(self, columns: Mapping[str, np.ndarray]) -> None:
        """Takes over the epochs of an earlier table, and writes the file."""
        rows = zip(*(columns[field.name].tolist() for field in fields(Epoch)), strict=True)
        self.epochs = [Epoch(*row) for row in rows]
        if self.path is not None:
            self._write()

    def table(self) -> dict[str, list[float]]:
        """The columns by name."""
        return {field.name: [getattr(epoch, field.name) for epoch in self.epochs] for field in fields(Epoch)}

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.draft")
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Epoch)])
            writer.writeheader()
            writer.writerows(asdict(epoch) for epoch in self.epochs)
        draft.replace(self.path)
