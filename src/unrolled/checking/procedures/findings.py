"""What is handed back: findings with their place in the source, what was proved, what could not be tested."""

import dataclasses
from collections.abc import Callable, Iterable

from unrolled.checking.procedures.roles import Function
from unrolled.checking.procedures.running import Program
from unrolled.checking.procedures.tracing import statement
from unrolled.checking.report import Cause, Finding, Worst


@dataclasses.dataclass
class Examined:
    """The findings around the gradient, why something could not be tested, and what was proved."""

    findings: list[Finding] = dataclasses.field(default_factory=list)
    untestable: list[str] = dataclasses.field(default_factory=list)
    proved: list[str] = dataclasses.field(default_factory=list)
    spoiled: bool = False  # nothing that comes later can be judged

    def examine(
        self, functions: Iterable[Function], outcome: Callable[[Function], Finding | str | None],
        proved: str,
    ) -> None:  # fmt: skip
        """Add the outcome of each function: a finding, why it cannot be tested, or None where it is right,
        which proves that it does what `proved` says.
        """
        for function in functions:
            try:
                found = outcome(function)
            except KeyError as error:
                found = f"{error} is not understood"
            except Exception as error:
                found = f"it could not be run: {error}"
            if isinstance(found, str):
                self.untestable.append(f"`{function.name}` was not tested: {found}")
            elif found is None:
                self.proved.append(f"`{function.name}` {proved}")
            else:
                self.findings.append(found)


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
    inside: bool = False,
) -> Finding:
    """Return a finding at a line of theirs; its message is the cause's.

    It is given at the first line of the statement, unless it is said to be inside.
    """
    found = statement(program.tree, line) if line and not inside else None
    line = found.lineno if found else line
    source = program.source[line - 1].strip() if line else ""
    column = found.col_offset + 1 if found else None
    where = f" in line {line}" if line else ""
    message = f"`{name}`{where}: {cause.message}"
    return Finding(
        quantity, name, t, "", line, column, source, severity, worst=worst, cause=cause,
        message=message,
    )  # fmt: skip


def exact(id: str, message: str, equation: str = "") -> Cause:
    """Return the cause of numbers that a variant of the procedure gives to rounding."""
    return Cause(id, "exact", message, equation)
