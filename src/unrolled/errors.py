"""The one kind of error a person can cause: a sentence that says what came and what was expected."""


class UnrolledError(ValueError):
    """Something given to Unrolled cannot be used; the message is one sentence in the legend's words."""
