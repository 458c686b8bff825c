"""How far the filling of a store has come."""

from __future__ import annotations

from cinnflow.store.batch import Batch


def progress_line(batch: Batch, batches: int) -> str:
    """One line for a batch that was just committed: its split, how much of it is done, rate and time left.

    Args:
        batch: the batch.
        batches: how many the study wants of its split.
    """
    folder = batch.store.path / batch.split / "status/c"
    times = sorted(
        (folder / str(number)).stat().st_mtime for number in batch.store.committed(batch.split) if number < batches
    )
    line = f"{batch.split}: {len(times) * batch.size} of {batches * batch.size} simulations"
    # The pace of the last batches, not of those from a run long ago.
    recent = times[-8:]
    if len(recent) < 3 or recent[-1] <= recent[0] or len(times) == batches:
        return line
    rate = (len(recent) - 1) * batch.size / (recent[-1] - recent[0])
    left = (batches - len(times)) * batch.size / rate
    return f"{line}, {rate:.3g} a second, {duration(left)} left"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
