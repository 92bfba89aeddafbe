"""Sheets drawn with XlsxWriter: what a title, a given and a computed number look like."""

import datetime
import io
from typing import Any

import numpy as np
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

Array = Any
Cell = tuple[int, int]
_BASE = {"font_name": "Calibri", "font_size": 11}
_INK, _GREY, _LINE = "#1A1A1A", "#595959", "#BFBFBF"
LOOKS: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 16}, "heading": {"bold": True, "font_size": 12},
    "says": {"font_color": _GREY}, "wrapped": {"text_wrap": True, "valign": "top"},
    "symbol": {"bold": True, "font_size": 12, "top": 1, "top_color": _LINE},
    "meaning": {"top": 1, "top_color": _LINE}, "line": {"top": 1, "top_color": _LINE},
    "equation": {"font_name": "Cambria", "font_size": 11},
    "across": {"font_color": _GREY, "align": "right"}, "down": {"font_color": _GREY, "align": "right", "indent": 1},
    "link": {"font_color": "#0563C1", "underline": 1},
    "column": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"},
    "column of numbers": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top", "align": "right"},
    "text": {}, "given": {"bold": True, "font_color": "#0B3D91", "bg_color": "#FFF6CC", "border": 1},
    "computed": {"font_color": _INK}, "live": {"bold": True, "align": "left"},
    "verdict": {"indent": 1},
}  # fmt: skip
# A zero that is exact is seen to be one.
_PLAIN, _SMALL = "0.0000;-0.0000;0", "0.00E+00;-0.00E+00;0"


class AllDigits(float):
    """A number that is written with all its digits: the writer asks for 16, and 17 tell it from others."""

    def __format__(self, _: str) -> str:
        return float.__repr__(self)


class Book:
    """A workbook that is being written."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self.workbook = Workbook(self.file, options)
        self.workbook.set_properties(
            {"created": datetime.datetime(2000, 1, 1), "title": "Unrolled"}
        )
        self.looks: dict[tuple[str, str], Format] = {}

    def look(self, name: str, number: str = "") -> Format:
        """Return a format, with one of numbers."""
        if (name, number) not in self.looks:
            format = {**_BASE, **LOOKS[name], **({"num_format": number} if number else {})}
            self.looks[name, number] = self.workbook.add_format(format)
        return self.looks[name, number]

    def page(self, name: str) -> "Page":
        """Return a new sheet."""
        return Page(self, self.workbook.add_worksheet(name))

    def to_bytes(self) -> bytes:
        """Return the file."""
        self.workbook.close()
        return self.file.getvalue()


class Page:
    """A sheet that is being written."""

    def __init__(self, book: Book, sheet: Worksheet):
        self.book, self.sheet = book, sheet
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&RPage &P of &N")

    def text(self, cell: Cell, text: str, look: str = "text") -> None:
        """Write a text, which stays text whatever it is."""
        self.sheet.write_string(*cell, printable(text), self.book.look(look))

    def link(self, cell: Cell, text: str, to: str) -> None:
        """Write a link to a place in the workbook."""
        self.sheet.write_url(*cell, f"internal:{to}", self.book.look("link"), text)

    def number(self, cell: Cell, value: float, look: str, number: str = "") -> None:
        """Write a number with all its digits; what is none, as a text."""
        format = self.book.look(look, number)
        if np.isfinite(value):
            self.sheet.write_number(*cell, AllDigits(value), format)
        else:
            self.sheet.write_string(*cell, str(float(value)), format)

    def formula(
        self, cell: Cell, formula: str, value: Any, look: str = "computed", number: str = ""
    ) -> None:
        """Write a formula, and what it comes to."""
        self.sheet.write_formula(*cell, formula, self.book.look(look, number), cached(value))


def cached(value: Any) -> Any:
    """Return what a file holds for a formula's value: a sheet has errors for what is no number."""
    if isinstance(value, str):
        return value
    if not np.isfinite(value):
        return "#NUM!" if np.isnan(value) else "#DIV/0!"
    return float(value)


def number_format(value: Array) -> str:
    """Return how the numbers of an array are best seen: with four decimals, or by their magnitude."""
    size = np.abs(value[np.isfinite(value) & (value != 0)])
    plain = not len(size) or (size.min() >= 5e-4 and size.max() < 1e5)
    return _PLAIN if plain else _SMALL


def printable(text: str) -> str:
    """Return a text with what cannot be printed, or stored, spelled out; at most what a cell holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:32000]
