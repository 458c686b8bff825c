"""What training says when it comes to nothing."""


class TrainingError(RuntimeError):
    """Training that came to nothing; the message says what was seen and what to do."""
