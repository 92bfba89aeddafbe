"""The sheets of the calculation: every quantity a block, with its symbol, meaning, equation and numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from unrolled.equations.table import Key
from unrolled.errors import UnrolledError
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.workbook.contents import Quantity, Sheet
from unrolled.explaining.workbook.drawing import Book, Page, number_format
from unrolled.explaining.workbook.layout import FIRST_ROW, Spot, formulas, heading_lines
from unrolled.notation import shape_text

_NARROWEST = 10  # columns, so that what is said of a quantity finds room
LONGEST = 8192  # characters of a formula
_AXES = {"n_x": "feature", "n_a": "unit", "n_y": "output", "m": "sequence", "e": "feature"}


class TooLongError(UnrolledError):
    """A formula that no spreadsheet takes."""


def draw(
    book: Book, sheet: Sheet, others: Sequence[Sheet], spots: Mapping[Key, Spot],
    explanation: Explanation,
) -> None:  # fmt: skip
    """Write a sheet of the calculation. Raises TooLongError where a formula is too long."""
    page = book.page(sheet.name)
    page.sheet.set_column(0, 0, 16)
    columns = max(spots[q.key].column + spots[q.key].columns for q in sheet.quantities)
    page.sheet.set_column(1, columns, 11.5)
    page.sheet.freeze_panes(FIRST_ROW - 1, 1)
    page.sheet.repeat_rows(0)
    page.text((0, 0), sheet.title, "title")
    page.text((1, 0), sheet.says, "says")
    _links(page, sheet, others)
    drawing = _Drawing(page, spots, explanation, max(columns, _NARROWEST))
    for row in sheet.rows:
        drawing.row(row)


def _links(page: Page, sheet: Sheet, others: Sequence[Sheet]) -> None:
    """Write where to go from a sheet: to the first one, the one before and the one after."""
    page.link((2, 0), "Read me", "'Read me'!A1")
    at = others.index(sheet)
    for column, arrow, k in ((1, "← %s", at - 1), (3, "%s →", at + 1)):
        if 0 <= k < len(others):
            page.link((2, column), arrow % others[k].name, f"'{others[k].name}'!A1")


class _Drawing:
    def __init__(
        self, page: Page, spots: Mapping[Key, Spot], explanation: Explanation, columns: int
    ):
        self.page, self.spots, self.explanation, self.columns = page, spots, explanation, columns
        self.sizes = explanation.sizes

    def row(self, row: tuple[Quantity, ...]) -> None:
        """Write quantities side by side; what is said of the first is true of all."""
        first, spot = row[0], self.spots[row[0].key]
        self._said(first, spot.row - heading_lines(row), several=len(row) > 1)
        for i in range(spot.rows):
            self.page.text((spot.row + i, 0), self._heading(first.shape[0], i), "down")
        for quantity in row:
            if len(row) > 1:
                above = spot.row - 1 - (first.shape[1] != 1)
                column = self.spots[quantity.key].column
                self.page.text((above, column), quantity.symbol, "heading")
            self._columns(quantity)
            self._numbers(quantity)

    def _said(self, quantity: Quantity, top: int, several: bool) -> None:
        """Write the symbol, the meaning and the equation above the numbers."""
        for column in range(2, self.columns):
            self.page.sheet.write_blank(top, column, None, self.page.book.look("line"))
        symbol = quantity.symbol.replace("⟨0⟩", "⟨t⟩") if several else quantity.symbol
        self.page.text((top, 0), symbol, "symbol")
        shape = f"{shape_text(quantity.shape)} = {shape_text(quantity.shape, self.sizes)}"
        about = [quantity.meaning, shape, quantity.source]
        self.page.text((top, 1), "   ·   ".join(filter(None, about)), "meaning")
        if quantity.equation:
            self.page.text((top + 1, 1), f"= {quantity.equation}", "equation")

    def _heading(self, axis: str | int, index: int) -> str:
        """Return what a row or a column is of; nothing where there is one for all."""
        if axis == 1:
            return ""
        labels = self.explanation.labels_of(axis)
        return f"{_AXES.get(str(axis), axis)} {index}" + (f" {labels[index]}" if labels else "")

    def _columns(self, quantity: Quantity) -> None:
        spot = self.spots[quantity.key]
        for j in range(spot.columns if quantity.shape[1] != 1 else 0):
            heading = self._heading(quantity.shape[1], j)
            self.page.text((spot.row - 1, spot.column + j), heading, "across")

    def _numbers(self, quantity: Quantity) -> None:
        spot, value = self.spots[quantity.key], quantity.value
        if quantity.entry is None:
            for i, j in np.ndindex(value.shape):
                look = "given" if quantity.proved else "computed"
                self.page.number((spot.row + i, spot.column + j), value[i, j], look)
            return
        number = number_format(value)
        for (i, j), formula in formulas(quantity, self.spots, self.sizes):
            if len(formula) > LONGEST:
                raise TooLongError(f"a formula of {quantity.symbol} has {len(formula)} characters")
            self.page.formula((spot.row + i, spot.column + j), formula, value[i, j], number=number)
