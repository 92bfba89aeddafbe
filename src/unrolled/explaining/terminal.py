"""The calculation in a terminal: each equation in symbols, with shapes and with numbers, and its line of code."""

import functools
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.text import Text

from unrolled.equations.evaluation import Moment
from unrolled.equations.printers import TEXT, title
from unrolled.equations.table import Key
from unrolled.errors import one_line
from unrolled.explaining import blocks, writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.sentences import saturations, sentence, symbol
from unrolled.explaining.sources import source_line
from unrolled.notation import ascii_text, pad, width

Array = Any
Line = tuple[str, str]  # what is said, and its style

_TERMS = 6  # of a sum over time, at most
_ROWS = 16  # of a matrix, at most
_FIRST = 4  # numbers of a large array
_MARK = 0xE000  # the first character that stands for no letter, and so may stand for a matrix
_REDUCED = {"mean": "mean over all targets", "batch": "sum over time, mean over the batch", "sum": "sum"}  # fmt: skip
_NARROWEST = 40


@dataclass(frozen=True)
class Terminal:
    """An explanation in lines of at most `columns` columns, in ASCII where nothing else can be printed."""

    explanation: Explanation
    columns: int = 80
    ascii: bool = False

    def heading(self) -> Text:
        """Return what is explained: title, sizes, loss, notes, and which gradients are lost."""
        of = self.explanation
        cell, *_ = title(of.table)
        sizes = ", ".join(f"{name} = {size}" for name, size in of.sizes.items())
        loss = (
            f"loss = {writing.number(of.value('loss', None)[0, 0], 12)}, {_REDUCED[of.reduction]}"
        )
        lines = [
            *self._folded(one_line(of.title or cell), "bold"),
            *(self._folded(cell) if of.title else ()), *self._folded(sizes), *self._folded(loss),
            *(line for note in of.notes for line in self._folded(one_line(note, 2000), "yellow")),
            *(line for said in saturations(of) for line in self._folded(said, "yellow")),
        ]  # fmt: skip
        return self._text(lines)

    def story(self) -> Text | None:
        """Return the story, where there is one."""
        lines = [line for said in self.explanation.told for line in [("", ""), *self._folded(said)]]
        return (
            self._text([("", ""), ("The story of these numbers", "bold underline"), *lines])
            if lines
            else None
        )

    def section(self, k: int) -> Text | None:
        """Return what begins with moment k, forward or backward or the sums; None where nothing does."""
        of, T = self.explanation, self.explanation.T
        kinds = [_kind(moment) for moment in of.moments[max(k - 1, 0) : k + 1]]
        if k and len(set(kinds)) == 1:
            return None
        said = {
            "forward": "Forward, from step 0 on" if T > 1 else "Forward",
            "loss": "The loss",
            "backward": f"Backward, from step {T - 1} to 0" if T > 1 else "Backward",
            "total": "Over all steps",
        }
        return self._text([("", ""), (said[kinds[-1]], "bold underline")])

    def step(self, k: int) -> Text:
        """Return moment k: sentence, equation in symbols, with shapes, with numbers, line of code."""
        moment = self.explanation.moments[k]
        lines = [
            ("", ""), (moment.label, "bold cyan"), *self._folded(sentence(self.explanation, moment)),
            ("", ""), *self._equations(moment), ("", ""), *self._numbers(moment),
        ]  # fmt: skip
        if place := source_line(self.explanation, moment):
            file, line, text = place
            lines += [("", ""), (f"  {one_line(file)}, line {line}", "dim")]
            lines += [(f"    {one_line(text)}", "dim")]
        return self._text(lines)

    def _equations(self, moment: Moment) -> Iterator[Line]:
        left, right = self._equation(moment)
        shapes = self._equation(moment, lambda n, t: f"[{writing.shape(self._value(n, t))}]")
        wide = max(width(self._plain(side)) for side in (left, shapes[0]))
        for style, (one, other) in (("bold", (left, right)), ("dim", shapes)):
            one = pad(self._plain(one), wide)
            yield from self._folded(f"{one} = {other}", style, "  ", " " * (wide + 5))

    def _equation(self, moment: Moment, leaf: Any = None) -> tuple[str, str]:
        return writing.equation(moment, self.explanation, TEXT, leaf, most=_TERMS)

    def _numbers(self, moment: Moment) -> Iterator[Line]:
        """Yield the matrices side by side, or, where there is no room, one below the other."""
        met: dict[Key, str] = {}

        def leaf(name: str, t: int | None) -> str:
            return met.setdefault((name, t), chr(_MARK + len(met)))

        left, right = self._equation(moment, leaf)
        if all(self._fits(key) for key in met):
            made = {mark: self._matrix(key) for key, mark in met.items()}
            together = blocks.beside(f"{left} = {right}", made, self.ascii)
            if max(map(width, together)) <= self._width - 2:
                yield from ((f"  {line}", "") for line in together)
                return
        alone = [list(self._alone(key)) for key in met]
        for k, lines in enumerate(alone):
            if k and max(len(alone[k - 1]), len(lines)) > 1:
                yield "", ""
            yield from lines

    def _alone(self, key: Key) -> Iterator[Line]:
        """Yield a quantity by its name, or a summary of it where it is large."""
        name, mark = self._plain(symbol(*key)), chr(_MARK)
        if self._fits(key):
            block = blocks.beside(f"{name} = {mark}", {mark: self._matrix(key)}, self.ascii)
            if max(map(width, block)) <= self._width - 2:
                yield from ((f"  {line}", "") for line in block)
                return
        said = self._summary(key, self._value(*key))
        yield from self._folded(f"{name} = {said}", "", "  ", "      ")

    def _summary(self, key: Key, value: Array) -> str:
        """Return shape, range and the first numbers; of what has labels the largest ones."""
        finite = value[np.isfinite(value)]
        ends = dict.fromkeys(
            map(writing.number, (finite.min(), finite.max()) if finite.size else ())
        )
        odd = f", {value.size - finite.size} not finite" if finite.size < value.size else ""
        if labels := self._labels(key):
            order = np.argsort(-np.abs(value[:, 0]), kind="stable")[:_FIRST]
            numbers = ", ".join(f"{labels[i]} {writing.number(value[i, 0])}" for i in order)
        else:
            numbers = " ".join(map(writing.number, value.ravel()[:_FIRST]))
        more = " …" if value.size > _FIRST else ""
        return f"[{writing.shape(value)}], {' … '.join(ends)}{odd}: {numbers}{more}"

    def _fits(self, key: Key) -> bool:
        rows, columns = self._value(*key).shape
        return bool(rows <= _ROWS and columns <= self._width // 2)

    def _matrix(self, key: Key) -> blocks.Block:
        bare = writing.is_row(self.explanation.table, key[0])
        return blocks.matrix(self._value(*key), self._labels(key), self.ascii, bare)

    def _labels(self, key: Key) -> list[str]:
        """Return what the rows of a quantity stand for, where that is known."""
        rows = self.explanation.table.shapes.get(key[0], ("",))[0]
        return [self._plain(label) for label in self.explanation.labels_of(rows)]

    def _value(self, name: str, t: int | None) -> Array:
        return self.explanation.value(name, t)

    @functools.cached_property
    def _plain(self) -> Callable[[str], str]:
        return ascii_text if self.ascii else str

    @property
    def _width(self) -> int:
        return max(self.columns, _NARROWEST)

    def _folded(
        self, words: str, style: str = "", first: str = "", more: str = ""
    ) -> Iterator[Line]:
        found = textwrap.wrap(
            self._plain(words), self._width, initial_indent=first, subsequent_indent=more,
            break_long_words=False, break_on_hyphens=False, replace_whitespace=False, drop_whitespace=True,
        )  # fmt: skip
        yield from ((line, style) for line in found)

    def _text(self, lines: list[Line]) -> Text:
        text = Text(no_wrap=True, overflow="ignore")
        for k, (words, style) in enumerate(lines):
            text.append("\n" * (k > 0) + self._plain(words), style)
        return text


def _kind(moment: Moment) -> str:
    """Return which part of the way a moment is in."""
    name, direction = moment.equation.name, moment.equation.direction
    if direction == "total":
        return "loss" if name == "loss" else "total"
    return "backward" if direction == "link" else direction
