"""Where a moment's equation stands in the code: the file of its part, the line, and its text."""

import linecache
from pathlib import Path

import unrolled
from unrolled.equations.evaluation import Moment
from unrolled.explaining.explanation import Explanation

_PACKAGE = Path(unrolled.__file__).parent


def source_line(explanation: Explanation, moment: Moment) -> tuple[str, int, str] | None:
    """Return file name, line and its text, `("unrolled/cells/rnn.py", 12, "z_a = …")`; None for what
    links the steps of any cell, and so stands in none.
    """
    equation = moment.equation
    for part in explanation.table.step.whole.parts:
        if part.name == equation.part and equation.line:
            function = part.forward if equation.direction == "forward" else part.backward
            file = function.__code__.co_filename
            linecache.checkcache(file)
            text = linecache.getline(file, equation.line, function.__globals__)
            return _said(Path(file)), equation.line, text.strip()
    return None


def _said(file: Path) -> str:
    """Return a file of the package with its folders, and another one without."""
    if file.is_relative_to(_PACKAGE):
        return f"{_PACKAGE.name}/{file.relative_to(_PACKAGE).as_posix()}"
    return file.name
