"""What is said about a finding and a report, in words, whatever they are then printed as."""

from collections.abc import Iterator

from unrolled import notation
from unrolled.checking.report import Finding, Report, Worst

_ROUNDING = 1e-12  # of a number of ordinary size
Rows = Iterator[tuple[str, str]]


def verdict(report: Report) -> str:
    """Return the report in a line."""
    name = report.file or "the program"
    mistakes = of_severity(report, "mistake")
    if report.verdict == "could-not-run":
        why = " ".join(report.untestable) or "nothing is known."
        return why if why.startswith(name) else f"{name} could not be checked: {why}"
    if report.verdict == "right":
        return (
            f"{name} is right." if report.proved else f"{name} is right, as far as it was tested."
        )
    where = f", on line {mistakes[0].line}" if mistakes and mistakes[0].line else ""
    if len(mistakes) < 2:
        return f"{name} is wrong{where}."
    return f"{name} is wrong: {len(mistakes)} mistakes, the first{where.removeprefix(',')}."


def of_severity(report: Report, severity: str) -> list[Finding]:
    """Return the findings that are mistakes, or those that are advice."""
    return [finding for finding in report.findings if finding.severity == severity]


def place(finding: Finding) -> str:
    """Return file:line:column, as editors read it."""
    numbers = [str(n) for n in (finding.line, finding.column) if n is not None]
    return ":".join([finding.file or "the program", *numbers])


def title(finding: Finding) -> str:
    """Return a finding in a few words: where it is, and what is wrong if that is told."""
    step = "" if finding.t is None else f" at t = {finding.t}"
    what = finding.name or symbol(finding)
    where = f"line {finding.line}" if finding.line else "somewhere"
    return f"{where}: {what}{step}" if what else where


def rows(finding: Finding) -> Rows:
    """Yield what is known of a finding, each with a word that says what it is."""
    if what := _what(finding):
        yield "What", what
    if finding.equation:
        shape = f"    shape {finding.expected_shape}" if finding.expected_shape else ""
        yield "Right", finding.equation + shape
    elif finding.expected_shape:
        yield "Right", f"shape {finding.expected_shape}"
    if finding.cause.equation:
        yield "Yours", finding.cause.equation
    yield from _explained(finding)
    if worst := finding.worst:
        at = f"entry {list(worst.index)}" if worst.index else "the number"
        yield (
            "Numbers",
            f"{at} is {_number(worst)} and should be {worst.expected:.6g}, where it is off most",
        )
    if finding.shape is not None:
        yield "Shape", f"yours is {notation.shape_text(finding.shape)}"


def _number(worst: Worst) -> str:
    """Their number; what is only the rounding of a 0 is said as that."""
    rounding = abs(worst.yours) < _ROUNDING * abs(worst.expected)
    return "0, to rounding," if rounding else f"{worst.yours:.6g}"


def _explained(finding: Finding) -> Rows:
    """Yield the cause, and the message where it says more."""
    cause, message = finding.cause, finding.message
    if cause.message and cause.message not in message:
        yield ("Cause" if cause.certainty == "exact" else "Perhaps"), cause.message
    if message:
        yield ("Advice" if finding.severity == "advice" else "Why"), message


def _what(finding: Finding) -> str:
    """Return their name, the step, and the legend's name with its meaning."""
    legend, name, said = symbol(finding), finding.name, notation.entry(finding.quantity)
    step = "" if finding.t is None else f" at t = {finding.t}"
    if not legend:
        return f"{name}{step}" if name else ""
    meaning = f" ({said.meaning})" if said.meaning else ""
    if name in ("", finding.quantity):
        return f"{legend}{step}{meaning}"
    return f"{name}{step}, which is {legend}{meaning}"


def symbol(finding: Finding) -> str:
    """Return the legend's symbol, or nothing where no quantity is known."""
    return notation.entry(finding.quantity).text if finding.quantity else ""


def lists(report: Report) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the lists of the report that are not empty, each with its heading."""
    yield from (
        (heading, items)
        for heading, items in (
            ("Conventions", report.conventions), ("Proved", report.proved),
            ("Not tested", () if report.verdict == "could-not-run" else report.untestable),
        )
        if items
    )  # fmt: skip


def marked(finding: Finding, width: int) -> tuple[str, str]:
    """Return the line of their code and the line beneath that marks the column, at most `width` wide.

    The marked place is kept in sight where the line is longer.
    """
    source = finding.source.expandtabs(4).rstrip()
    column = len(finding.source[: max(0, (finding.column or 1) - 1)].expandtabs(4))
    indent = len(source) - len(source.lstrip())
    source, column = source[indent:], max(0, column - indent)
    if len(source) > width:
        begin = max(0, min(column - width // 2, len(source) - width + 1))
        head, tail = "…" * (begin > 0), "…" * (begin + width < len(source))
        source = head + source[begin + len(head) : begin + width - len(tail)] + tail
        column -= begin
    mark = "" if finding.column is None else " " * column + "^"
    return source, mark
