"""`un.check`: the check of a file, or of what stands in a notebook, from Python."""

from typing import Any

from unrolled.checking.binding import binding_source
from unrolled.checking.printing.hints import FULL, hinted
from unrolled.checking.report import Report
from unrolled.checking.sandbox.process import checked
from unrolled.checking.sources import source_of


def check(what: Any, binding: Any = None, seconds: float = 60.0, hints: int = FULL) -> Report:
    """Return what is wrong with a hand-written RNN, LSTM or GRU: where, and why.

    `what` is the path of a Python file; or a module; or a function or a class, or several of them,
    with all of the file that they are in, or all cells of the notebook that were run up to now.
    `binding` is the path of a file, or a function `run(module, problem)` that needs nothing from
    around it: docs/check.md. `seconds` is the longest that it may take. The program runs in a process
    of its own. `hints` is how much is told, as in `unrolled check --hints`. Raises UnrolledError where
    the program's text is not known.
    """
    sent = None if binding is None else binding_source(binding)
    return hinted(checked(source_of(what), binding=sent, seconds=seconds), hints)
