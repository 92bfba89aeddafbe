"""The kernels of a cell and of what follows it as text, with the equations beside: what is compiled."""

from collections.abc import Iterator

from unrolled import notation
from unrolled.engines.compiled.program import Program, UnsupportedError
from unrolled.engines.compiled.source import Source
from unrolled.equations.schedule_printer import OperationPrinter
from unrolled.equations.step import Stage
from unrolled.equations.table import Table

_LEGEND = (
    (
        "load(a, i)",
        "as many neighbouring numbers as a register has, LANES; load_part: those that are there",
    ),
    (
        "product(a, at_a, W, W_shape, c, at_c, …)",
        "C = A W for rows that lists of places say; W is packed",
    ),
    ("pick(x, at_x, W, …)", "the columns of W that labels say"),
    ("pack(…), totals(…)", "weights for products; sums over all steps, as tables say"),
    ("meet(counter, shards)", "wait for the other cores"),
)


def kernel_text(table: Table, ascii: bool = False) -> str:
    """Return the text of all kernels of a step: of the cell, then of the output layer with its loss."""
    plain = notation.ascii_text if ascii else str
    return "\n".join(plain(line) for line in _lines(table))


def _lines(table: Table) -> Iterator[str]:
    step = table.step
    yield f"# The kernels of {step.cell.name}: {step.cell.title}"
    yield "#"
    yield from (f"#   {line}" for pair in _LEGEND for line in ("  ".join(pair),))
    for title, stage in (("Cell", step.recurrence), ("Output layer and loss", step.head)):
        for direction, keep in (("forward", step.needed), ("backward", frozenset({"da_y"}))):
            yield ""
            yield f"# {title}, {direction}"
            yield from _kernel(table, stage, direction, keep)


def _kernel(table: Table, stage: Stage, direction: str, keep: frozenset[str]) -> Iterator[str]:
    try:
        program = Program(stage, direction, keep, frozenset(), frozenset({"y"}))
        yield from Source(program, OperationPrinter(table).operation).text.splitlines()
    except UnsupportedError as error:
        yield f"# is run by the NumPy engine: {error}"
