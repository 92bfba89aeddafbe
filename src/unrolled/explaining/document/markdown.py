"""The document as Markdown, with the mathematics in the blocks that GitHub sets."""

import re
from functools import singledispatch

from unrolled.explaining.document import Formula, Heading, Table, Words, contents
from unrolled.explaining.explanation import Explanation

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|$~@!])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def to_bytes(explanation: Explanation) -> bytes:
    """Return the file."""
    text = "\n\n".join(_written(element) for element in contents(explanation)) + "\n"
    return text.encode("utf-8", "backslashreplace")


def escaped(text: str) -> str:
    """Return any text as Markdown shows it: no mark, no tag, no link."""
    text = _SPECIAL.sub(r"\\\1", text)
    text = re.sub("[&<>]", lambda found: _HTML[found[0]], text)
    text = re.sub(r"^(\d+)([.)])|^([-+=])", r"\1\\\2\3", text)  # no list, no underline
    return text.replace("://", ":&#47;/").replace("www.", "www&#46;")


@singledispatch
def _written(element: object) -> str:
    raise TypeError(element)


@_written.register
def _(element: Heading) -> str:
    return f"{'#' * (element.level + 1)} {escaped(element.text)}"


@_written.register
def _(element: Words) -> str:
    return escaped(element.text)


@_written.register
def _(element: Formula) -> str:
    return f"```math\n{element.latex}\n```"


@_written.register
def _(element: Table) -> str:
    rows = [f"| {' | '.join(map(_cell, row))} |" for row in (element.head, *element.rows)]
    return "\n".join([rows[0], "|---" * len(element.head) + "|", *rows[1:]])


def _cell(cell: str | Formula) -> str:
    return f"$`{cell.latex}`$" if isinstance(cell, Formula) else escaped(cell)
