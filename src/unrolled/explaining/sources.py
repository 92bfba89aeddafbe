"""Where an equation stands in the code: the file, the line, and what is written there."""

import linecache
from pathlib import Path
from typing import NamedTuple

from unrolled.equations.evaluation import Moment
from unrolled.explaining.explanation import Explanation


class SourceLine(NamedTuple):
    """A line of a file; `file` is its name alone, `line` counts from 1."""

    file: str
    line: int
    text: str


def source_line(explanation: Explanation, moment: Moment) -> SourceLine | None:
    """Return the line that a moment's equation was recorded from; None for what links steps."""
    equation, step = moment.equation, explanation.table.step
    parts = {part.name: part for part in step.whole.parts}
    part = parts.get(equation.part)
    if part is None or not equation.line:
        return None
    function = part.forward if equation.direction == "forward" else part.backward
    path = function.__code__.co_filename
    return SourceLine(
        Path(path).name, equation.line, linecache.getline(path, equation.line).strip()
    )
