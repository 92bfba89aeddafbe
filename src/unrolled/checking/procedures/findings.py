"""What is handed back: findings with their place in the source, what was proved, what could not be tested."""

import dataclasses
from typing import Any

import numpy as np

from unrolled.checking.procedures.running import Program
from unrolled.checking.procedures.tracing import statement
from unrolled.checking.report import Cause, Finding, Worst

Array = Any


@dataclasses.dataclass
class Examined:
    """The findings around the gradient, why something could not be tested, and what was proved."""

    findings: list[Finding] = dataclasses.field(default_factory=list)
    untestable: list[str] = dataclasses.field(default_factory=list)
    proved: list[str] = dataclasses.field(default_factory=list)


def finding(
    program: Program,
    quantity: str,
    name: str,
    line: int | None,
    cause: Cause,
    *,
    severity: str = "mistake",
    worst: Worst | None = None,
    t: int | None = None,
) -> Finding:
    """Return a finding at a line of theirs; its message is the cause's."""
    found = statement(program.tree, line) if line else None
    line = found.lineno if found else line
    source = program.source[line - 1].strip() if line else ""
    column = found.col_offset + 1 if found else None
    where = f" in line {line}" if line else ""
    message = f"`{name}`{where}: {cause.message}"
    return Finding(
        quantity, name, t, "", line, column, source, severity, worst=worst, cause=cause,
        message=message,
    )  # fmt: skip


def worst(yours: Array, expected: Array) -> Worst | None:
    """Return the entry that is off most, None where the shapes differ."""
    yours, expected = np.asarray(yours, float), np.asarray(expected, float)
    if yours.shape != expected.shape or not yours.size:
        return None
    off = np.abs(yours - expected)
    index = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
    where = tuple(int(i) for i in index)
    return Worst(where, float(yours[where]), float(expected[where]))


def exact(id: str, message: str, equation: str = "") -> Cause:
    """Return the cause of numbers that a variant of the procedure gives to rounding."""
    return Cause(id, "exact", message, equation)
