"""What can be wrong with a posterior's networks, file and draws; apart, so that no step needs TensorFlow to name it."""

from __future__ import annotations

from pathlib import Path

from cinnflow.errors import PlainError


class PosteriorFileError(PlainError, ValueError):
    """A file that holds no posterior that this version can read; the message says why and what to do."""


class DrawsError(PlainError, ValueError):
    """Draws that cannot be read; the message says what to do."""

    @classmethod
    def of(cls, path: Path, error: Exception) -> DrawsError:
        """The error of draws that their library could not read."""
        return cls(f"{path} is damaged ({error}): delete it and start snakemake again, which draws anew")


class SummaryNetworkError(PlainError, ValueError):
    """A summary network that does not give summaries; the message says what it gave."""
