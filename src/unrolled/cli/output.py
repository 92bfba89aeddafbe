"""Printing, in ASCII where the terminal cannot print the legend's symbols."""

import sys

import click

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
