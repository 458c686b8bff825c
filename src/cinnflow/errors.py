"""What errors that are meant for a person have in common."""


class PlainError(Exception):
    """An error whose message tells a user all there is to know: what is wrong, and what to do."""
