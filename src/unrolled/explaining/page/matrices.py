"""Numbers and equations in MathML: matrices whose every entry can be found, pointed at and renewed."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from unrolled.equations.evaluation import Moment
from unrolled.equations.printers import MATHML
from unrolled.equations.table import Key
from unrolled.explaining import writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.page.data import axes_of, key_text
from unrolled.explaining.page.selection import Selection

Array = Any

_FIRST_ROW = re.compile(r"<mtable[^>]*><mtr>.*?</mtr>")
_WIDE = 15  # columns of numbers, more of which no line of paper takes


class Matrices:
    """Writes the matrices of an explanation, those rows and columns that are shown."""

    def __init__(self, explanation: Explanation, selection: Selection):
        self.explanation, self.selection = explanation, selection

    def of(self, name: str, t: int | None) -> str:
        """Return a quantity of the calculation."""
        value, axes = self.explanation.value(name, t), axes_of(self.explanation, (name, t))
        rows, columns = map(self.selection.indices, axes)
        labels = self.explanation.labels_of(axes[0]) if axes[1] == "m" else ()
        return matrix(
            value, key_text((name, t)), rows, columns, labels=labels, bare=self._bare(name)
        )

    def _bare(self, name: str) -> bool:
        return writing.is_row(self.explanation.table, name)

    def theirs(self, key: Key) -> str:
        """Return what a person's program has for it; "" where that is right."""
        theirs = self.explanation.theirs
        if theirs is None or key not in theirs.values:
            return ""
        rows, columns = map(self.selection.indices, axes_of(self.explanation, key))
        value, right = np.asarray(theirs.values[key], float), self.explanation.value(*key)
        off = ~np.isclose(value, right, rtol=1e-6, atol=1e-6 * float(np.max(np.abs(right))))
        return matrix(value, "", rows, columns, off, bare=self._bare(key[0]))

    def equation(self, moment: Moment) -> str:
        """Return a moment's equation with its numbers; a wide one in pieces that may each begin a line."""
        most = self.selection.cap
        pieces = writing.pieces(moment, self.explanation, MATHML, self.of, "<mn>0</mn>", most)
        columns = sum(row.count("<mtd") for piece in pieces for row in _FIRST_ROW.findall(piece))
        if columns <= _WIDE:
            return "".join(pieces)
        # A sign that begins a line is still the one between what stands on its sides.
        infix = (re.sub("^<mo>", "<mo form=infix>", piece) for piece in pieces)
        return "</math> <math>".join(infix)


def matrix(
    value: Array, key: str, rows: Sequence[int], columns: Sequence[int], off: Array = None,
    labels: Sequence[str] = (), bare: bool = False,
) -> str:  # fmt: skip
    """Return an array (n, m) as a matrix, of those rows and columns, with dots where some are missing;
    entries that are `off` are marked, and rows that have `labels` end with them. A single number has no
    brackets if it is `bare`.
    """
    lines = []
    for i in rows:
        cells = (
            f"<mtd{' class=off' if off is not None and off[i, j] else ''}>"
            f"<mn>{writing.number(value[i, j])}</mn></mtd>"
            for j in columns
        )
        dots = "<mtd class=more><mo>…</mo></mtd>" if len(columns) < value.shape[1] else ""
        label = f"<mtd class=more><mtext>{escape(labels[i])}</mtext></mtd>" if labels else ""
        lines.append(f"<mtr>{''.join(cells)}{dots}{label}</mtr>")
    if len(rows) < len(value):
        lines.append("<mtr class=more><mtd><mo>⋮</mo></mtd></mtr>")
    cut = _attribute("rows", rows, len(value)) + _attribute("columns", columns, value.shape[1])
    quoted = key if re.fullmatch(r"[\w:]*", key) else f'"{escape(key)}"'
    of = f" data-of={quoted}" if key else ""
    table = f"<mtable{of}{cut}>{''.join(lines)}</mtable>"
    return f"<mrow><mo>[</mo>{table}<mo>]</mo></mrow>" if value.size > 1 or not bare else table


def _attribute(name: str, indices: Sequence[int], size: int) -> str:
    return "" if len(indices) == size else f' data-{name}="{",".join(map(str, indices))}"'
