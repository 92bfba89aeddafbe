"""The one kind of error a person can cause, a sentence that says what came and what was expected;
and the two checks of numbers that everything asks for.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np


class UnrolledError(ValueError):
    """Something given to Unrolled cannot be used; the message is one sentence in the legend's words."""


def whole_number(name: str, value: Any, lowest: int) -> int:
    """Return a whole number from `lowest` on, or raise UnrolledError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise UnrolledError(f"{name} is {value!r}: expected a whole number from {lowest}")
    return int(value)


def positive_number(name: str, value: Any) -> float:
    """Return a finite number above 0, or raise UnrolledError."""
    if not is_number(value) or not 0 < value < math.inf:
        raise UnrolledError(f"{name} is {value!r}: expected a number above 0")
    return float(value)


def number_below_one(name: str, value: Any) -> float:
    """Return a number from 0 to below 1, or raise UnrolledError."""
    if not is_number(value) or not 0 <= value < 1:
        raise UnrolledError(f"{name} is {value!r}: expected a number from 0 to below 1")
    return float(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, and not a truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


@contextlib.contextmanager
def about(what: str) -> Iterator[None]:
    """Begin the sentence of an UnrolledError with what it is about."""
    try:
        yield
    except UnrolledError as error:
        raise UnrolledError(f"{what}: {error}") from None


def one_line(text: str, longest: int = 300) -> str:
    """Return a text of any origin as one line that can be printed: control characters are escaped,
    and the middle is left out where it is long.
    """
    shown = (
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in _cut(text, longest)
    )
    return _cut("".join(shown), longest)


def _cut(text: str, longest: int) -> str:
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[1 - half :]}"
