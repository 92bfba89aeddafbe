"""Where on its sheet everything lies, and what a formula calls it."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from xlsxwriter.utility import xl_rowcol_to_cell

from unrolled.equations.entries import Scalar
from unrolled.equations.formulas import formula
from unrolled.equations.table import Key
from unrolled.explaining.workbook.contents import Quantity, Sheet

FIRST_ROW = 4  # above it: the sheet's title, what it is, and where to go from it
_cell: Callable[..., str] = functools.cache(xl_rowcol_to_cell)


@dataclass(frozen=True)
class Spot:
    """Where an array lies: its sheet, and the row and column of its first entry."""

    sheet: str
    row: int
    column: int
    rows: int
    columns: int

    def cell(self, i: int, j: int, seen_from: str = "") -> str:
        """Return `C7`, or `'Forward 3'!C7` on another sheet; an axis of 1 has one entry for all."""
        cell: str = _cell(self.row + i, self.column + j)
        return cell if seen_from == self.sheet else f"{_quoted(self.sheet)}!{cell}"

    @property
    def area(self) -> str:
        """All of it, as a name is defined."""
        first, last = (
            _cell(self.row + i, self.column + j, True, True)
            for i, j in ((0, 0), (self.rows - 1, self.columns - 1))
        )
        return f"{_quoted(self.sheet)}!{first}:{last}"


def _quoted(sheet: str) -> str:
    return f"'{sheet}'" if " " in sheet else sheet


def heading_lines(row: tuple[Quantity, ...]) -> int:
    """Return how many lines stand above the numbers: symbol and meaning, equation, symbols of each of
    several, headings of the columns where there is more than one kind of them.
    """
    first = row[0]
    return 1 + bool(first.equation) + (len(row) > 1) + (first.shape[1] != 1)


def spots(sheets: Iterable[Sheet]) -> dict[Key, Spot]:
    """Return where every quantity lies: one row of them under the other, an empty line between."""
    return {key: spot for sheet in sheets for key, spot in _on(sheet)}


def _on(sheet: Sheet) -> Iterator[tuple[Key, Spot]]:
    top = FIRST_ROW
    for row in sheet.rows:
        top, column = top + heading_lines(row), 1
        for quantity in row:
            rows, columns = quantity.value.shape
            yield quantity.key, Spot(sheet.name, top, column, rows, columns)
            column += columns + 1
        top += max(len(quantity.value) for quantity in row) + 1


def formulas(
    quantity: Quantity, spots: Mapping[Key, Spot], sizes: Mapping[str, int]
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the formula of every entry (i, j), with its sign of equality."""
    entry, own = quantity.entry, spots[quantity.key]
    assert entry is not None
    known: dict[tuple[str, str], Spot] = {}

    def place(of: Scalar) -> str:
        spot = known.get((of.name, of.step))
        if spot is None:
            spot = known[of.name, of.step] = spots[quantity.key_of(of)]
        row, column = of.at
        return spot.cell(int(row), int(column), own.sheet)

    for i, j in np.ndindex(own.rows, own.columns):
        yield (i, j), "=" + formula(entry, place, sizes, where={"i": i, "j": j})


def names(keys: Iterable[Key]) -> dict[Key, str]:
    """Return a defined name for every array: `W_aa`, `a_t3`, `the_a0`.

    There is an underscore in each, so that none can be read as a cell's, which is letters and digits
    (A0, B1, DX0) or R, C, brackets and digits; and no two are the same ignoring case.
    """
    found: dict[Key, str] = {}
    taken: set[str] = set()
    for key in keys:
        name, t = key
        text = name.replace(" ", "_")[:200] + ("" if t is None else f"_t{t}")
        text = text if "_" in text else f"the_{text}"
        while text.casefold() in taken:
            text += "_"
        taken.add(text.casefold())
        found[key] = text
    return found
