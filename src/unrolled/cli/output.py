"""Printing, in ASCII where the terminal cannot print the legend's symbols, and the exit status."""

import sys

import click

from unrolled.errors import UnrolledError
from unrolled.notation import ascii_text


def needs_ascii() -> bool:
    """Return whether standard output cannot print the legend's symbols."""
    try:
        "⟨ŷΓ−Σᵀ∘…".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return True
    return False


def say(text: str, error: bool = False) -> None:
    """Print text to standard output, or to standard error."""
    click.echo(ascii_text(text) if needs_ascii() else text, err=error)


def exit_status(verdict: str) -> int:
    """Return 0 where a gradient report found nothing wrong, 1 where it did; raise UnrolledError,
    which ends in 2, where nothing could be tested.
    """
    if verdict == "not testable":
        raise UnrolledError("no gradient could be tested on these numbers")
    return 0 if verdict == "right" else 1
