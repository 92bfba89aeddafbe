"""The first sheet: what this is, how to use it, and what is where."""

from collections.abc import Iterable, Mapping, Sequence

from unrolled import notation
from unrolled.equations.printers import Printer
from unrolled.equations.table import Key
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.workbook.compare import NAME as COMPARE
from unrolled.explaining.workbook.contents import Sheet
from unrolled.explaining.workbook.drawing import Book, Page
from unrolled.explaining.workbook.layout import Spot
from unrolled.notation import shape_text

NAME = "Read me"
_HOW = (
    "Change any number in a box (bold, on yellow) in Data, Parameters or Update: the loss, every gradient and the "
    "updated parameters follow.",
    "Every other number is a formula of single cells: follow where it comes from by Trace Precedents (in Excel: "
    "Formulas; in LibreOffice: Tools, Detective).",
    "Every array has a name, such as %s: pick it in the Name Box, at the left above the sheet, to go there.",
    "Rows and columns, steps and sequences are counted from 0. A 0 without decimals is exactly 0.",
)


def draw(
    book: Book, explanation: Explanation, sheets: Sequence[Sheet], spots: Mapping[Key, Spot],
    names: Mapping[Key, str],
) -> None:  # fmt: skip
    """Write the sheet; it has to be the first that is drawn."""
    page, step = book.page(NAME), explanation.table.step
    for column, wide in enumerate((16, 16, 16, 80)):
        page.sheet.set_column(column, column, wide)
    page.text((0, 0), explanation.title or step.cell.name, "title")
    g = f", g = {step.activation.name}" if step.activation else ""
    _line(page, 1, "Cell", f"{step.cell.title}{g}")
    _line(page, 2, "", f"Source: {step.cell.source}")
    _line(page, 3, "Output and loss", f"{step.prediction.title}; {step.loss.part.title}")
    sizes = ", ".join(
        f"{n} = {size} {notation.DIMENSIONS[n]}" for n, size in explanation.sizes.items()
    )
    _line(page, 4, "Sizes", sizes)
    page.text((5, 0), "Loss", "heading")
    page.formula((5, 1), f"={spots['loss', None].cell(0, 0)}", explanation.value("loss", None)[0, 0],
                 "live", "0.00000000")  # fmt: skip
    page.text((5, 2), f"the {explanation.reduction} over all targets", "says")
    row = _paragraphs(page, 7, "Notes", explanation.notes)
    example = names[next(iter(step.parameters)), None]
    row = _paragraphs(page, row, "How to use it", (line.replace("%s", example) for line in _HOW))
    row = _contents(page, row, sheets)
    _legend(page, row, explanation)
    page.sheet.freeze_panes(1, 0)


def _line(page: Page, row: int, heading: str, text: str) -> None:
    page.text((row, 0), heading, "heading")
    page.text((row, 1), text)


def _paragraphs(page: Page, row: int, heading: str, lines: Iterable[str]) -> int:
    """Write lines under a heading, if there are any; return the row after them."""
    written = list(lines)
    if not written:
        return row
    page.text((row, 0), heading, "heading")
    for k, line in enumerate(written, 1):
        page.sheet.merge_range(row + k, 0, row + k, 3, "", page.book.look("wrapped"))
        page.text((row + k, 0), line, "wrapped")
        page.sheet.set_row(row + k, 15 * (1 + len(line) // 150))
    return row + len(written) + 2


def _contents(page: Page, row: int, sheets: Sequence[Sheet]) -> int:
    page.text((row, 0), "Sheets", "heading")
    about = [(sheet.name, sheet.says) for sheet in sheets]
    about.append((COMPARE, "Every formula beside the number that NumPy computed."))
    for k, (name, says) in enumerate(about, 1):
        page.link((row + k, 0), name, f"'{name}'!A1")
        page.text((row + k, 1), says)
    return row + len(about) + 2


def _legend(page: Page, row: int, explanation: Explanation) -> None:
    """Write what every symbol stands for."""
    table, printer = explanation.table, Printer(explanation.table)
    page.text((row, 0), "Quantities", "heading")
    for column, heading in enumerate(("symbol", "name in code", "shape", "meaning")):
        page.text((row + 1, column), heading, "column")
    for k, (name, shape) in enumerate(table.shapes.items(), row + 2):
        texts = printer.name(name), name, shape_text(shape, explanation.sizes), table.meaning(name)
        for column, text in enumerate(texts):
            page.text((k, column), text)
