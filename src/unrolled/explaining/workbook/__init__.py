"""An explanation as a workbook with live formulas: change a number, and loss and gradients follow.

contents.py has what stands on its sheets, on_the_way.py what a formula is split into; layout.py where it lies;
drawing.py, blocks.py, read_me.py and compare.py write it; softmax_sheet.py studies softmax with
cross-entropy; rounding.py says what a formula may differ by from NumPy.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from unrolled.errors import UnrolledError
from unrolled.explaining import studies
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.workbook import blocks, compare, contents, read_me, rounding, softmax_sheet
from unrolled.explaining.workbook.drawing import Book
from unrolled.explaining.workbook.layout import names, spots
from unrolled.notation import Shape

MOST = 130_000  # formulas: beyond that a spreadsheet gets slow
QUICK = 60_000  # and up to here it is quick: more only where that takes a single step
STEPS = 50  # each has two sheets
COMPARED = 200  # entries of an array, where all would be too many


def to_bytes(explanation: Explanation) -> bytes:
    """Return the file, of as many steps and sequences as fit.

    Raises UnrolledError where not even one does.
    """
    compared = _compared(explanation)
    m, T = _fitting(explanation, compared)
    while True:
        try:
            return _written(studies.shortened(explanation, m, T), compared)
        except blocks.TooLongError as error:
            if m == T == 1:
                raise _too_large(str(error)) from None
            m, T = (m, (T + 1) // 2) if m <= T else ((m + 1) // 2, T)


def _written(explanation: Explanation, compared: int) -> bytes:
    sheets = contents.sheets(explanation)
    if softmax_sheet.is_shown(explanation):
        sheets.append(softmax_sheet.sheet(explanation))
    quantities = [quantity for sheet in sheets for quantity in sheet.quantities]
    lying = spots(sheets)
    named = names(quantity.key for quantity in quantities if quantity.proved)
    proved = [q for q in quantities if q.proved and q.key != contents.RATE]
    if studies.has_softmax(explanation) and not softmax_sheet.is_shown(explanation):
        explanation = _noted(explanation, softmax_sheet.LEFT_OUT)
    if any(quantity.value.size > compared for quantity in proved):
        note = f"Of an array of more than {compared} entries, the first {compared} are compared with NumPy's."
        explanation = _noted(explanation, note)
    book = Book()
    read_me.draw(book, explanation, sheets, lying, named)
    for sheet in sheets:
        blocks.draw(book, sheet, sheets, lying, explanation)
    compare.draw(book, proved, lying, rounding.allowed(explanation), compared)
    for key, name in named.items():
        book.workbook.define_name(name, f"={lying[key].area}")
    return book.to_bytes()


def _noted(explanation: Explanation, note: str) -> Explanation:
    return replace(explanation, notes=(*explanation.notes, note))


def _compared(explanation: Explanation) -> int:
    """Return how many entries of an array are compared: all, if that is quick for at least one step."""
    return MOST if _formulas(explanation, 1, 1, MOST) <= QUICK else COMPARED


def _fitting(explanation: Explanation, compared: int) -> tuple[int, int]:
    """Return how many sequences and steps fit: two sequences at least if that can be, then all steps that
    can be, then more sequences.
    """
    count = _formulas(explanation, 1, 1, compared)
    if count > MOST:
        raise _too_large(f"one step of one sequence takes {count:,} formulas, of {MOST:,} at most")

    def fits(m: int, T: int) -> bool:
        return _formulas(explanation, m, T, compared) <= (QUICK if count <= QUICK else MOST)

    m, T = explanation.m, min(explanation.T, STEPS)
    fewest = min(m, 2) if fits(min(m, 2), 1) else 1
    steps = _largest(T, lambda t: fits(fewest, t))
    return _largest(m, lambda n: fits(n, steps)), steps


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest size up to `most` that fits, at least 1."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _formulas(explanation: Explanation, m: int, T: int, compared: int) -> int:
    """Return how many formulas a workbook of m sequences and T steps has, about."""
    table, sizes = explanation.table, {**explanation.sizes, "m": m, "T": T}

    def entries(shape: Shape) -> int:
        own = math.prod(sizes[n] if isinstance(n, str) else n for n in shape)
        return own + compare.FORMULAS * min(own, compared)

    at_each = sum(entries(e.shape) for e in table.equations if e.direction != "total")
    given = sum(entries(table.shapes[name]) for name in ("x", "y", "omega"))
    totals = sum(entries(e.shape) for e in table.of("total"))
    parameters = sum(map(entries, table.step.parameters.values()))
    study = entries(("n_y", "n_y")) if softmax_sheet.is_shown(explanation) else 0
    return T * (at_each + given) + totals + 2 * parameters + study


def _too_large(what: str) -> UnrolledError:
    return UnrolledError(
        f"the workbook would be too large: {what}; expected smaller sizes, as with --shapes, or a page (.html)"
    )
