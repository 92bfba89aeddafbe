"""Text: how a file is read, and its characters as labels."""

from pathlib import Path
from typing import Any

import numpy as np

from unrolled.errors import UnrolledError
from unrolled.files import read_bytes

Array = Any
_CHUNK = 1 << 20  # characters that are turned into labels at a time


class Vocabulary:
    """The characters of a text in order of code point; a label is a character's place in it."""

    def __init__(self, characters: str):
        self.characters = "".join(sorted(set(characters)))
        self._codes = _codes(self.characters)
        self.dtype = np.min_scalar_type(max(len(self.characters) - 1, 0))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """Return the labels (T,) of a text, in the smallest unsigned dtype that holds them all.

        Raises UnrolledError for a character not known.
        """
        labels = np.empty(len(text), self.dtype)
        for start in range(0, len(text), _CHUNK):
            codes = _codes(text[start : start + _CHUNK])
            found = np.searchsorted(self._codes, codes)
            known = np.take(self._codes, found, mode="clip") == codes if len(self) else codes < 0
            if not known.all():
                self._refuse(text, start + int(np.argmin(known)))
            labels[start : start + len(codes)] = found
        return labels

    def decode(self, labels: Array) -> str:
        """Return the text of labels (T,)."""
        return "".join(self.characters[label] for label in labels)

    def _refuse(self, text: str, place: int) -> None:
        before = text[:place]
        line, column = before.count("\n") + 1, place - before.rfind("\n")
        listed = self.characters if len(self) <= 80 else f"{self.characters[:80]}…"
        raise UnrolledError(
            f"the character {text[place]!r} (line {line}, column {column}) is not in the vocabulary "
            f"({len(self)} characters: {listed!r})"
        )


def _codes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with every end of a line as a newline.

    Raises UnrolledError where it cannot be read, is not UTF-8, is empty, or has only one symbol.
    """
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnrolledError(
            f"{path} is not UTF-8 text: byte {content[error.start]:#04x} in line {line} (byte "
            f"{error.start} of the file); save it as UTF-8"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    symbols = set(text) - {"\n"}
    if not symbols:
        raise UnrolledError(f"{path} is empty: expected text")
    if len(symbols) == 1:
        [symbol] = symbols
        raise UnrolledError(
            f"{path} has only one symbol, {symbol!r}: there is nothing to tell apart, expected text"
        )
    return text


def lines_of(text: str) -> list[str]:
    """Return the lines of a text that are not blank."""
    return [line for line in text.split("\n") if line.strip()]


def looks_like_names(text: str) -> bool:
    """Return whether a text is more likely names, one a line, than prose: short lines of few words."""
    lines = lines_of(text[:100_000])
    words = [len(line.split()) for line in lines]
    short = sum(count <= 3 and len(line) <= 40 for count, line in zip(words, lines, strict=True))
    return len(lines) >= 5 and short >= 0.9 * len(lines)
