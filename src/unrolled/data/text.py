"""Text as labels: a vocabulary of characters, and windows of parallel streams."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.errors import UnrolledError

Array = Any


class Vocabulary:
    """The characters of a text in order of code point; a label is a character's place in it."""

    def __init__(self, characters: str):
        self.characters = "".join(sorted(set(characters)))
        self._labels = {character: k for k, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """Return the labels (T,) of a text. Raises UnrolledError for a character not known."""
        try:
            return np.array([self._labels[character] for character in text], dtype=np.intp)
        except KeyError as error:
            raise UnrolledError(
                f"the character {error.args[0]!r} is not in the vocabulary "
                f"({len(self)} characters: {self.characters!r})"
            ) from None

    def decode(self, labels: Array) -> str:
        """Return the text of labels (T,)."""
        return "".join(self.characters[label] for label in labels)


def stream_windows(labels: Array, m: int, T: int) -> Iterator[tuple[Array, Array, bool]]:
    """Yield windows (X, Y, fresh) of a long text for ever, X and Y (m, T) labels, Y one later.

    The text is cut into m streams that are read side by side, so that each window goes on where
    the one before ended; `fresh` where they start from the beginning. The last few characters that
    fill no window are left out. Raises UnrolledError where the text is too short for one window.
    """
    if m < 1 or T < 1:
        raise UnrolledError(f"m = {m}, T = {T}: expected whole numbers above 0")
    length = (len(labels) - 1) // m
    if length < T:
        raise UnrolledError(
            f"the text has {len(labels)} characters: expected at least m · T + 1 = {m * T + 1} "
            f"for m = {m} sequences of T = {T} steps"
        )
    X = labels[: m * length].reshape(m, length)
    Y = labels[1 : m * length + 1].reshape(m, length)
    while True:
        for start in range(0, length - T + 1, T):
            yield X[:, start : start + T], Y[:, start : start + T], start == 0
