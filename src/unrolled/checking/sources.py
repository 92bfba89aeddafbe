"""What is checked: a file, or functions, classes and modules by the text they were written in."""

import ast
import bisect
import dataclasses
import inspect
import io
import linecache
import os
import tokenize
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from unrolled.checking.report import Finding, Report
from unrolled.errors import UnrolledError, one_line
from unrolled.files import read_bytes

LONGEST = 2_000_000  # bytes of a program


@dataclasses.dataclass(frozen=True)
class Source:
    """A program's text. `name` is what it is called, `folder` where its neighbours are, if anywhere;
    `cells` has the name and the first line of each cell of a notebook, rising.
    """

    name: str
    text: str
    folder: str = ""
    cells: tuple[tuple[str, int], ...] = ()

    def placed(self, report: Report) -> Report:
        """Return a report with the program's name, and each finding's file and line in its cell."""
        findings = tuple(map(self._placed, report.findings))
        return dataclasses.replace(report, file=report.file or self.name, findings=findings)

    def _placed(self, finding: Finding) -> Finding:
        file, line = finding.file or self.name, finding.line
        if line is not None and self.cells:
            file, first = self.cells[bisect.bisect(self.cells, line, key=lambda c: c[1]) - 1]
            line -= first - 1
        return dataclasses.replace(finding, file=file, line=line)


def read_source(path: str | Path) -> Source:
    """Return the program in a file. Raises UnrolledError where there is none."""
    path = Path(path)
    if path.suffix == ".ipynb":
        raise UnrolledError(
            f"{path} is a notebook: save it as a Python file, or call un.check(function) in it"
        )
    content = read_bytes(path)
    if len(content) > LONGEST:
        raise UnrolledError(f"{path} cannot be checked: it has more than {LONGEST:,} bytes")
    return Source(str(path), decoded(content, str(path)), str(path.resolve().parent))


def decoded(content: bytes, name: str) -> str:
    """Return the text of a program's bytes, in the encoding it declares. Raises UnrolledError."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()  # any ends of lines
    except (SyntaxError, UnicodeError, LookupError) as error:
        reason = str(error).removesuffix(".")
        raise UnrolledError(one_line(f"{name} is not a Python program: {reason}")) from None
    if "\0" in text:
        raise UnrolledError(f"{name} is not a Python program: it has zero bytes")
    return text


def source_of(what: Any) -> Source:
    """Return the program that something was written in: a path, or a module, class or function, or
    several of them. Raises UnrolledError where its text is not known.
    """
    if isinstance(what, str | os.PathLike):
        return read_source(Path(what))
    several = list(what) if isinstance(what, Iterable) and not isinstance(what, type) else [what]
    if not several:
        raise UnrolledError(
            "nothing to check came: expected a path, a module, a class or a function"
        )
    files = list(dict.fromkeys(map(_file_of, several)))
    if any(_is_file(file) for file in files):
        if len(files) > 1:
            raise UnrolledError(
                f"what is to be checked is in {len(files)} files: expected one, as {files[0]}"
            )
        return read_source(files[0])
    return _notebook(files, several)


def _is_file(name: str) -> bool:
    return os.path.isfile(name)


def _file_of(thing: Any) -> str:
    """Return the file that a module, a class or a function is written in; of a cell, its made-up name."""
    if not isinstance(thing, ModuleType | type) and not inspect.isroutine(thing):
        raise UnrolledError(
            f"{one_line(repr(thing), 60)} cannot be checked: expected a path, a module, a class or a function"
        )
    try:
        thing = _function(thing) or thing  # a class of a notebook does not know its cell
        file = inspect.getsourcefile(inspect.unwrap(thing) if callable(thing) else thing)
        found = file is not None and bool(linecache.getlines(file))
    except (TypeError, OSError):
        file, found = None, False
    if file is None or not found:
        raise UnrolledError(
            f"the text of {getattr(thing, '__name__', 'it')} is not known: write it into a file and check that"
        )
    return file


def _notebook(files: list[str], several: list[Any]) -> Source:
    """Return the cells that were run up to now, as one program: what is checked calls the others."""
    space = getattr(_function(several[0]), "__globals__", {})
    run = [text for text in space.get("In", []) if isinstance(text, str)]
    if not run:
        run = ["".join(linecache.getlines(file)) for file in files]
    numbered = [(f"In [{k}]", text) for k, text in enumerate(run) if _is_python(text)]
    lines, cells = 1, []
    for name, text in numbered:
        cells.append((name, lines))
        lines += text.count("\n") + 1
    return Source("notebook", "\n".join(t for _, t in numbered), os.getcwd(), tuple(cells))


def _function(thing: Any) -> Any:
    """Return a class's first method, or the thing itself."""
    if isinstance(thing, type):
        return next(filter(inspect.isfunction, vars(thing).values()), None)
    return thing


def _is_python(text: str) -> bool:
    """Whether a cell is plain Python: a %magic or !command is not, and is left out."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return bool(text.strip())
