"""A report as text, for a terminal or a pipe."""

import textwrap
from collections.abc import Iterator

from rich.text import Text

from unrolled.checking.printing import phrases
from unrolled.checking.printing.hints import FULL, hinted
from unrolled.checking.report import Finding, Report
from unrolled.notation import ascii_text

_COLOURS = {"right": "bold green", "wrong": "bold red", "could-not-run": "bold yellow"}
_LABEL = 9  # columns of the words before what is said
_NARROWEST = 40

Line = list[tuple[str, str]]  # texts, each with its style


def to_text(report: Report, hints: int = FULL, ascii: bool = False, width: int = 80) -> str:
    """Return the report as plain text, lines of at most `width` columns where words allow it."""
    return to_rich(report, hints, ascii, width).plain


def to_rich(report: Report, hints: int = FULL, ascii: bool = False, width: int = 80) -> Text:
    """Return the report as text with colours."""
    width = max(width, _NARROWEST)
    lines = _lines(hinted(report, hints), width)
    text = Text(no_wrap=True, overflow="ignore")
    for k, line in enumerate(lines):
        for words, style in [("\n" * (k > 0), ""), *line]:
            text.append(ascii_text(words) if ascii else words, style)
    return text


def _lines(report: Report, width: int) -> Iterator[Line]:
    style = _COLOURS.get(report.verdict, "")
    yield from _wrapped(phrases.verdict(report), width, style)
    mistakes, advice = (phrases.of_severity(report, kind) for kind in ("mistake", "advice"))
    for k, finding in enumerate(mistakes, 1):
        yield from _finding(finding, f"{k}. ", width)
    if advice:
        yield []
        yield [("Advice: not wrong, but worth a change", "bold yellow")]
    for finding in advice:
        yield from _finding(finding, "", width)
    for heading, items in phrases.lists(report):
        yield []
        yield [(heading, "bold")]
        for item in items:
            yield from _wrapped(item, width, first="  ")


def _finding(finding: Finding, number: str, width: int) -> Iterator[Line]:
    yield []
    yield [(f"{number}{phrases.place(finding)}", "bold")]
    if finding.source.strip():
        source, mark = phrases.marked(finding, width - 4)
        yield [("    " + source, "cyan")]
        if mark:
            yield [("    " + mark, "bold red")]
    for label, words in phrases.rows(finding):
        first, *more = _folded(words, width - 2 - _LABEL)
        yield [(f"  {label:<{_LABEL}}", "dim"), (first, "")]
        yield from ([(" " * (2 + _LABEL) + line, "")] for line in more)


def _wrapped(words: str, width: int, style: str = "", first: str = "") -> Iterator[Line]:
    for k, line in enumerate(_folded(words, width - len(first))):
        yield [((first if k == 0 else first + "  " * bool(first)) + line, style)]


def _folded(words: str, width: int) -> list[str]:
    """Return lines; those that are there already stay, and long ones are folded between words."""
    kept = [
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False,
                      replace_whitespace=False) or [""]
        for line in words.splitlines()
    ]  # fmt: skip
    return [line for lines in kept for line in lines] or [""]
