"""The derivation of one run as a document: what is said in it, in which order. latex.py and markdown.py write it.

Text is plain, and escaped by who writes it; mathematics is LaTeX, which both of them hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.equations.evaluation import Moment
from unrolled.equations.printers import LATEX, Printer, title
from unrolled.equations.table import Key
from unrolled.errors import one_line
from unrolled.explaining import studies, writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.sentences import saturations

Array = Any
_ROW = r" \\ "  # ends a row of a matrix
_MOST = 8  # rows and columns of a matrix
_STEPS = 12  # steps, beyond which some are left out
_ENDS = 4  # that many steps are shown at the beginning and at the end then
_TERMS = 6  # terms of a sum over time, and more than its shown steps are never written
_WIDE = 130  # characters of a line of matrices, beyond which each stands alone


@dataclass(frozen=True)
class Heading:
    """A heading, of level 0 (the title), 1 or 2."""

    text: str
    level: int = 1


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Formula:
    """Mathematics: on a line of its own, or, in the cell of a table, in it."""

    latex: str


@dataclass(frozen=True)
class Table:
    """A table; its cells are texts or formulas."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Formula]]


Element = Heading | Words | Formula | Table


def contents(explanation: Explanation) -> Iterator[Element]:
    """Yield all of the document."""
    document = _Document(explanation)
    yield from document.setting()
    yield from document.equations()
    yield from document.forward()
    yield from document.backward()
    yield from document.totals()
    yield from document.softmax()
    yield from document.influence()
    yield from document.left_out()
    if explanation.told:
        yield Heading("The story of these numbers")
        yield from map(Words, explanation.told)


class _Document:
    def __init__(self, explanation: Explanation):
        self.explanation, self.table, self.T = explanation, explanation.table, explanation.T
        ends = [*range(_ENDS), *range(self.T - _ENDS, self.T)]
        self.steps = list(range(self.T)) if self.T <= _STEPS else ends

    def setting(self) -> Iterator[Element]:
        """What is given, and what the symbols mean."""
        explanation, lines = self.explanation, title(self.table)
        yield Heading(one_line(explanation.title or lines[0]), 0)
        yield from (Words(line.strip()) for line in lines)
        sizes = ", ".join(f"{name} = {size}" for name, size in explanation.sizes.items())
        loss = writing.number(explanation.value("loss", None)[0, 0], 12)
        yield Words(f"{sizes}. The loss is {loss} (reduction: {explanation.reduction}).")
        yield from (Words(one_line(note, 2000)) for note in explanation.notes)
        yield from map(Words, saturations(explanation))
        yield from (Words(said) for said in self._shown())
        yield Heading("Notation")
        axes = ", ".join(f"{name} {meaning}" for name, meaning in notation.DIMENSIONS.items())
        yield Words(
            f"Sizes: {axes}. A step t stands in angle brackets, d before a name is the derivative of the loss by it."
        )
        printer = Printer(self.table, LATEX)
        yield Table(("symbol", "shape", "meaning"), [
            (Formula(printer.name(name)), notation.shape_text(shape), self.table.meaning(name))
            for name, shape in self.table.shapes.items()
        ])  # fmt: skip
        yield Heading("What is given")
        yield from (self._matrix_of(key) for key in explanation.given if key[1] is None)

    def _shown(self) -> Iterator[str]:
        """Yield what is left out."""
        if len(self.steps) < self.T:
            yield f"Of the {self.T} steps the first and the last {_ENDS} are shown; all of them are computed."
        if max(size for name, size in self.explanation.sizes.items() if name != "T") > _MOST:
            yield f"Of a matrix with more than {_MOST} rows or columns the first {_MOST - 1} and the last are shown."

    def equations(self) -> Iterator[Element]:
        """The equations in general, with shapes."""
        printer = Printer(self.table, LATEX)
        yield Heading("The equations")
        for said, direction in (("Forward, at each step", "forward"), ("Between steps", "link"),
                                ("Backward, at each step", "backward"), ("Over all steps", "total")):  # fmt: skip
            yield Heading(said, 2)
            for equation in self.table.of(direction):
                left, right = printer.equation(equation)
                shape = r" \times ".join(
                    str(self.explanation.sizes.get(str(n), n)) for n in equation.shape
                )
                yield Formula(rf"{left} = {right} \quad \in \mathbb{{R}}^{{{shape}}}")

    def forward(self) -> Iterator[Element]:
        """Every step forward, and the loss."""
        yield Heading("Forward")
        for t in self.steps:
            yield Heading(f"Step {t}", 2)
            yield self._matrix_of(("x", t))
            yield self._matrix_of(("y", t))
            yield from self._moments("forward", t)
        yield Heading("The loss", 2)
        yield from (self._step(m) for m in self.explanation.moments if m.key == ("loss", None))

    def backward(self) -> Iterator[Element]:
        """Every step backward, from the last one."""
        yield Heading("Backward")
        for t in reversed(self.steps):
            yield Heading(f"Step {t}", 2)
            yield from self._moments("link", t)
            yield from self._moments("backward", t)

    def totals(self) -> Iterator[Element]:
        """The sums over time."""
        yield Heading("Sums over time")
        yield from (
            self._step(m)
            for m in self.explanation.moments
            if m.t is None and m.key != ("loss", None)
        )

    def _moments(self, direction: str, t: int) -> Iterator[Element]:
        for moment in self.explanation.moments:
            if moment.equation.direction == direction and moment.t == t:
                yield self._step(moment)

    def _step(self, moment: Moment) -> Formula:
        """Return a moment's equation in symbols and with its numbers."""
        leaves: dict[Key, None] = {}

        def matrix(name: str, t: int | None) -> str:
            leaves[name, t] = None
            return self._matrix((name, t))

        most = max(_TERMS, len(self.steps))
        left, right = writing.equation(moment, self.explanation, LATEX, most=most)
        result, numbers = writing.equation(moment, self.explanation, LATEX, matrix, most=most)
        columns = sum(min(self.explanation.value(*key).shape[1], _MOST) for key in leaves)
        if columns * 8 <= _WIDE:
            return _lines([(left, right), (result, numbers)])
        alone = [(self._symbol(key), self._matrix(key)) for key in list(leaves)[1:]]
        return _lines([(left, right), ("", result), *alone])

    def _symbol(self, key: Key) -> str:
        printer = writing.StepPrinter(self.table, LATEX, key[1], self.T)
        return printer.symbol(*key)

    def _matrix_of(self, key: Key) -> Formula:
        return Formula(f"{self._symbol(key)} = {self._matrix(key)}")

    def _matrix(self, key: Key) -> str:
        return matrix(self.explanation.value(*key))

    def softmax(self) -> Iterator[Element]:
        """Softmax with cross-entropy three ways, for the last target."""
        if not studies.has_softmax(self.explanation):
            return
        t = self.T - 1
        ways = studies.three_ways(self.explanation, t, 0)
        yield Heading("Softmax with cross-entropy, three ways")
        yield Words(
            f"For the target of sequence 0 at step {t}, without its share omega: by the Jacobian of the softmax, by the "
            "chain rule without forming the Jacobian, and by the shortcut, where all of it cancels."
        )
        z, y, y_hat, dy_hat = (
            notation.entry(name).latex for name in ("z_y", "y", "y_hat", "dy_hat")
        )
        yield _lines([
            (z, matrix(ways["z_y"])), (y_hat, matrix(ways["y_hat"])), (y, matrix(ways["y"])),
            (f"{dy_hat} = -{y} / {y_hat}", matrix(ways["dy_hat"])), ("J", matrix(ways["jacobian"])),
            (rf"{{J}}^{{\mathsf T}} {dy_hat}", matrix(ways["by_jacobian"])),
            (rf"{y_hat} \circ ({dy_hat} - \sum_j {y_hat}_j\,{dy_hat}_j)", matrix(ways["by_chain"])),
            (f"{y_hat} - {y}", matrix(ways["by_shortcut"])),
        ])  # fmt: skip

    def influence(self) -> Iterator[Element]:
        """How each step's loss depends on each state, if the cell names the state's gradient."""
        if "da" not in self.table.shapes:
            return
        shown = (
            self.steps if len(self.steps) <= _MOST else self.steps[: _MOST - 1] + self.steps[-1:]
        )
        found = studies.influence(self.explanation, steps=shown)
        yield Heading("Which loss depends on which state")
        left = (
            ""
            if len(shown) == self.T
            else f" Only steps {', '.join(map(str, shown))} are shown; the sums are over all."
        )
        yield Words(
            "The derivative of the loss of step s by the state of step t, for sequence 0; each column adds up to "
            f"da of its step, in the last row.{left}"
        )
        rows = [" & ".join(["s", *(f"a^{{\\langle {t} \\rangle}}" for t in shown)])]
        for s in shown:
            cells = [matrix(found[s, t][:, :1]) if t <= s else "0" for t in shown]
            rows.append(" & ".join([rf"\mathcal{{L}}^{{\langle {s} \rangle}}", *cells]))
        sums = [matrix(self.explanation.value("da", t)[:, :1]) for t in shown]
        rows.append(" & ".join([r"\sum_s", *sums]))
        body = rf"{rows[0]} \\ \hline {_ROW.join(rows[1:-1])} \\ \hline {rows[-1]}"
        yield Formula(f"\\begin{{array}}{{c|{'c' * len(shown)}}} {body} \\end{{array}}")

    def left_out(self) -> Iterator[Element]:
        """What a forgotten contribution does to each gradient."""
        yield Heading("What if a contribution is left out")
        yield Words("How far each gradient is off then, in parts of its largest entry.")
        names = studies.contributions(self.explanation)
        found = [studies.switched_off(self.explanation, name).relative for name in names]
        yield Table(["", *(f"without {name}" for name in names)], [
            (gradient, *(_off(relative[gradient]) for relative in found))
            for gradient in studies.gradients(self.explanation)
        ])  # fmt: skip


def _off(relative: float | None) -> str:
    return (
        "0 both ways" if relative is None else "0" if relative == 0 else f"{100 * relative:.3g} %"
    )


def _lines(pairs: Sequence[tuple[str, str]]) -> Formula:
    body = _ROW.join(f"{left} &= {right}" for left, right in pairs)
    return Formula(rf"\begin{{aligned}} {body} \end{{aligned}}")


def matrix(array: Array) -> str:
    """Return an array as a matrix of LaTeX, the middle left out where it is large; a single number as it is."""
    array = np.asarray(array)
    if array.size == 1:
        return _number(array.item())
    rows, columns = (_picked(n) for n in array.shape)
    lines = [
        " & ".join(_cell(array, i, j) for j in columns) for i in rows
    ]  # fmt: skip
    return rf"\begin{{pmatrix}} {_ROW.join(lines)} \end{{pmatrix}}"


def _picked(n: int) -> list[int | None]:
    """Return which rows or columns are shown; None for those between."""
    return list(range(n)) if n <= _MOST else [*range(_MOST - 1), None, n - 1]


def _cell(array: Array, i: int | None, j: int | None) -> str:
    if i is None or j is None:
        return r"\ddots" if i is j else r"\vdots" if i is None else r"\cdots"
    return _number(array[i, j])


def _number(value: float) -> str:
    text = writing.number(value).replace("−", "-")
    if text in ("NaN", "∞", "-∞"):
        return {"NaN": r"\mathrm{NaN}", "∞": r"\infty", "-∞": r"-\infty"}[text]
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa}\cdot 10^{{{exponent}}}" if exponent else mantissa
