"""What training says when it comes to nothing."""

from cinnflow.errors import PlainError


class TrainingError(PlainError, RuntimeError):
    """Training that came to nothing; the message says what was seen and what to do."""
