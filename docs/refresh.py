"""Prints into the documentation what the code says: run `make docs` after a change.

Between `<!-- printed: ... -->` and `<!-- end -->` stands nothing typed by hand:

    printed: unrolled equations rnn      what the command prints
    printed: findings FILE               what `unrolled check FILE` finds, or that it is right
    printed: lines dc,df equations lstm  of what it prints, the lines of those equations
    printed: equation lstm dc dc_prev    those equations as LaTeX, recorded from the cell
    printed: activations rnn             its equations with each activation it may have
    printed: kernel rnn forward          a kernel of the compiled engine, as `equations --kernel` prints it
    printed: legend                      the legend
    printed: output                      what the Python block above prints, when it is run
    printed: file rnn                    the cell file
    printed: functions                   what a cell may call
    printed: dls                         the course's functions

and writes the pages of the three cells into docs/pages, as `unrolled explain` does.
"""

import contextlib
import dataclasses
import inspect
import io
import re
import shlex
import sys
import tempfile
from pathlib import Path

from unrolled import activations, dls, notation
from unrolled.cells import load_cell
from unrolled.checking.asking import check
from unrolled.checking.printing.text import to_text
from unrolled.cli.main import _unrolled
from unrolled.dls import char
from unrolled.equations.printers import LATEX, Printer
from unrolled.equations.step import build_step
from unrolled.equations.table import record
from unrolled.explaining.examples import read_example
from unrolled.explaining.page import to_html
from unrolled.functions import PRIMITIVES

ROOT = Path(__file__).parent.parent
PLACE = re.compile(r"(<!-- printed: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```\n", re.DOTALL)


def explained() -> dict[Path, str]:
    """Return the pages of the three cells, by where they stand."""
    return {
        ROOT / f"docs/pages/{cell}.html": to_html(read_example("sequence", cell))
        for cell in ("rnn", "gru", "lstm")
    }


def pages() -> list[Path]:
    """Return every page that has something printed into it."""
    return sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])


def refreshed(text: str) -> str:
    """Return a page's text with everything printed anew."""

    def printed(match: re.Match[str]) -> str:
        return match[1] + _print(match[2], text[: match.start()]) + match[3]

    return PLACE.sub(printed, text)


def _print(what: str, before: str) -> str:  # noqa: C901 - one line a kind
    kind, *words = shlex.split(what)
    if kind == "unrolled":
        return _fence("text", _command(words))
    if kind == "findings":
        return _fence("text", _findings(words[0]))
    if kind == "lines":
        starts = tuple(f"  {name}⟨t⟩ " for name in words[0].split(","))
        lines = [
            line
            for line in _command(words[1:]).splitlines()
            if line.startswith(starts) and " = " in line
        ]
        return _fence("text", "\n".join(lines))
    if kind == "equation":
        return _equations(words[0], words[1:])
    if kind == "activations":
        return _activations(words[0])
    if kind == "kernel":
        return _fence("python", _kernel(*words))
    if kind == "legend":
        return _legend()
    if kind == "functions":
        return _functions()
    if kind == "dls":
        return _dls()
    if kind == "file":
        return _fence(
            "python", inspect.getsource(sys.modules[load_cell(words[0]).forward.__module__])
        )
    if kind == "output":
        return _fence("text", _run(PYTHON.findall(before)))
    raise SystemExit(f"nothing is known to print for {what!r}")


def _command(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        _unrolled.main(words, prog_name="unrolled", standalone_mode=False)
    return out.getvalue()


def _kernel(cell: str, direction: str) -> str:
    """The kernel of a cell in one direction, of all that the command prints."""
    sections = _command(["equations", cell, "--kernel"]).split("\n# ")
    found = next(text for text in sections if text.startswith(f"Cell, {direction}"))
    return found.partition("\n")[2]


def _findings(path: str) -> str:
    """What is found, without what differs from machine to machine: the digits of what was proved."""
    report = check(ROOT / path)
    text = to_text(dataclasses.replace(report, file=path, findings=tuple(
        dataclasses.replace(finding, file=path) for finding in report.findings
    )))  # fmt: skip
    return text.partition("\nConventions\n")[0].rstrip()


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def _activations(cell: str) -> str:
    lines = ["| activation | forward | backward |", "|---|---|---|"]
    for name in load_cell(cell).activations:
        table = record(build_step(cell, name))
        of = {e.name: " = ".join(Printer(table).equation(e)) for e in table.equations}
        lines.append(f"| {name} | {of['a']} | {of['dz_a']} |")
    return "\n".join(lines) + "\n"


def _equations(cell: str, names: list[str]) -> str:
    table = record(build_step(cell))
    printer = Printer(table, LATEX)
    rows = []
    for name in names:
        direction = "total" if name.startswith("Σ") else None
        equation = next(
            e for e in table.equations
            if e.name == name.removeprefix("Σ") and (direction is None or e.direction == direction)
        )  # fmt: skip
        rows.append(" &= ".join(printer.equation(equation)))
    body = " \\\\\n".join(rows)
    return _fence("math", f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}")


def _legend() -> str:
    lines = ["| symbol | in code | shape | meaning |", "|---|---|---|---|"]
    for entry in notation.LEGEND.values():
        shape = notation.shape_text(notation.parse_shape(entry.shape))
        lines.append(f"| {entry.text} | `{entry.name}` | {shape} | {entry.meaning} |")
    for name, meaning in notation.DIMENSIONS.items():
        lines.append(f"| {name} | `{name}` | | {meaning} |")
    return "\n".join(lines) + "\n"


def _functions() -> str:
    """List what a cell may call, by the first line of each docstring."""
    backwards = {n: getattr(activations, n) for n in activations.__all__ if n.endswith("_backward")}
    lines = ["| function | |", "|---|---|"]
    for module, functions in (("functions", PRIMITIVES), ("activations", backwards)):
        for name, function in functions.items():
            takes = ", ".join(inspect.signature(function).parameters)
            said = (inspect.getdoc(function) or "").splitlines()[0]
            lines.append(f"| `unrolled.{module}.{name}({takes})` | {said} |")
    return "\n".join(lines) + "\n"


def _dls() -> str:
    """List the course's functions, module by module, by the first sentence of each docstring."""
    lines = ["| function | |", "|---|---|"]
    for module in (dls, char, dls.rnn_utils):
        for name in module.__all__:
            function = getattr(module, name)
            if module is dls and name in dls.rnn_utils.__all__:
                continue
            takes = ", ".join(inspect.signature(function).parameters)
            said = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
            room = module.__name__.removeprefix("unrolled.")
            lines.append(f"| `{room}.{name}({takes})` | {said} |")
    return "\n".join(lines) + "\n"


def _run(blocks: list[str]) -> str:
    """Run the page's Python blocks from the first on, and return what the last one prints."""
    known: dict[str, object] = {}
    for block in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(block, known)
    return out.getvalue()


def main() -> None:
    """Refresh every page."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            text = refreshed(text)  # what its examples write is written there
        page.write_text(text, encoding="utf-8", newline="\n")
    for path, page_of_cell in explained().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(page_of_cell, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
