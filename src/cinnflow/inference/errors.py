"""What can be wrong with a posterior's networks and its file; apart, so that no step needs TensorFlow to name it."""

from cinnflow.errors import PlainError


class PosteriorFileError(PlainError, ValueError):
    """A file that holds no posterior that this version can read; the message says why and what to do."""


class SummaryNetworkError(PlainError, ValueError):
    """A summary network that does not give summaries; the message says what it gave."""
