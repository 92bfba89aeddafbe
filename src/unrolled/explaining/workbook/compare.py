"""The sheet that compares every formula with the number that NumPy computed."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unrolled.equations.table import Key
from unrolled.explaining.workbook.contents import Quantity
from unrolled.explaining.workbook.drawing import Book, Page
from unrolled.explaining.workbook.layout import Spot

Array = Any
NAME = "Compare"
FORMULAS = 4  # of an entry
_SAYS = (
    "Each formula beside the number that NumPy computed from the numbers as they came, and what rounding may make "
    "of it.",
    "A program that does not calculate shows NumPy's numbers in the formulas' places too: there the differences prove "
    "nothing.",
)
_COLUMNS = ("quantity", "row", "column", "this workbook", "NumPy", "difference", "largest of the array",
            "difference / largest", "rounding may differ by", "verdict")  # fmt: skip
_WIDTHS = (18, 7, 9, 24, 24, 13, 13, 13, 13, 12)
_PLAIN, _EXACT, _SHORT = "0.0000000000000000", "0.0000000000000000E+00", "0.0E+00;-0.0E+00;0"
_TOP = 7  # the row of the headings, counted from 0


def draw(
    book: Book, quantities: Iterable[Quantity], spots: Mapping[Key, Spot],
    allowed: Mapping[Key, float], most: int,
) -> None:  # fmt: skip
    """Write the sheet, with at most so many entries of each array."""
    page, row, agreeing = book.page(NAME), _TOP + 1, 0
    for column, wide in enumerate(_WIDTHS):
        page.sheet.set_column(column, column, wide)
    for quantity in quantities:
        bound, largest = allowed.get(quantity.key), _largest(quantity)
        for at in itertools.islice(np.ndindex(quantity.value.shape), most):
            page.text((row, 0), quantity.symbol)
            _beside(page, row, spots[quantity.key].cell(*at), float(quantity.value[at]), largest)
            for column, index in enumerate(at, 1):
                page.number((row, column), index, "text")
            _judged(page, row, np.isfinite(quantity.value[at]), bound)
            row += 1
        agreeing += 0 if bound is None else min(quantity.value.size, most)
    _summary(page, row, agreeing)


def _beside(page: Page, row: int, cell: str, value: float, largest: float) -> None:
    """Write NumPy's number of an entry beside the formula's, and how far they are apart."""
    n, finite = row + 1, np.isfinite(value)
    digits = _PLAIN if 1e-4 <= largest < 1e4 else _EXACT
    page.formula((row, 3), f"={cell}", value, number=digits)
    page.number((row, 4), value, "text", digits)
    off = f"=D{n}-E{n}" if finite else f'=IF(ISNUMBER(D{n}),"a number","none")'
    page.formula((row, 5), off, 0.0 if finite else "none", number=_SHORT)
    page.number((row, 6), largest, "text", _SHORT)
    relative = f'=IF(ISNUMBER(F{n}),IF(G{n}=0,"",ABS(F{n})/G{n}),"")'
    page.formula((row, 7), relative, 0.0 if finite and largest else "", number=_SHORT)


def _judged(page: Page, row: int, finite: bool, bound: float | None) -> None:
    """Write whether an entry is right; a given number, which has no bound, is changed or it is not."""
    n, none = row + 1, f'F{row + 1}="none"'
    if bound is None:
        same = f"F{n}=0" if finite else none
        page.formula((row, 9), f'=IF({same},"given","changed")', "given", "verdict")
        return
    page.number((row, 8), bound, "text", _SHORT)
    right = f"IF(ISNUMBER(F{n}),ABS(F{n})<=I{n},FALSE)" if finite else none
    page.formula((row, 9), f'=IF({right},"agrees","differs")', "agrees", "verdict")


def _largest(quantity: Quantity) -> float:
    value = quantity.value if quantity.scale is None else quantity.scale
    finite = value[np.isfinite(value)]
    return float(np.max(np.abs(finite))) if len(finite) else 0.0


def _summary(page: Page, end: int, agreeing: int) -> None:
    """Write what comes of it, above the lines of the entries."""
    verdicts, relative, what = (f"{c}{_TOP + 2}:{c}{end}" for c in "JHA")
    count = {word: f'COUNTIF({verdicts},"{word}")' for word in ("agrees", "differs", "changed")}
    page.text((0, 0), "Every formula beside NumPy's number", "title")
    page.link((0, 8), "Read me", "'Read me'!A1")
    for row, line in enumerate(_SAYS, 1):
        page.text((row, 0), line, "says")
    verdict = (
        f'=IF({count["changed"]}>0,{count["changed"]}&" given numbers were changed: "&{count["differs"]}&" formulas '
        f'give what NumPy did not compute, for it had the old ones",IF({count["differs"]}=0,"All "&{count["agrees"]}'
        f'&" formulas agree with NumPy to rounding",{count["differs"]}&" formulas differ from NumPy by more than rounding"))'
    )
    page.text((4, 0), "Verdict", "heading")
    page.formula(
        (4, 3), verdict, f"All {agreeing} formulas agree with NumPy to rounding", "heading"
    )
    page.text((5, 0), "Worst", "heading")
    page.formula((5, 3), f"=MAX({relative})", 0.0, "live", _SHORT)
    page.text((5, 4), "of the largest of its array; it is in", "says")
    found = f'=IFERROR(INDEX({what},MATCH(MAX({relative}),{relative},0)),"")'
    page.formula((5, 6), found, "", "text")
    for column, heading in enumerate(_COLUMNS):
        numbers = 0 < column < len(_COLUMNS) - 1
        page.text((_TOP, column), heading, "column of numbers" if numbers else "column")
    page.sheet.set_row(_TOP, 32)
    page.sheet.autofilter(_TOP, 0, end - 1, len(_COLUMNS) - 1)
    page.sheet.freeze_panes(_TOP + 1, 1)
    page.sheet.repeat_rows(_TOP)
