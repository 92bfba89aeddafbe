"""How a child ended: its report, or what is known about why there is none."""

import json
import re
import signal
from pathlib import Path
from typing import Protocol

from unrolled.checking.report import Cause, Finding, Report
from unrolled.checking.sources import Source
from unrolled.checking.walk import Walk

REPORT, WALK, TRACE = "report.json", "walk.json", "trace.txt"
_FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)')
_LEFT = "left by os._exit with status "


class _Limits(Protocol):
    @property
    def seconds(self) -> float: ...
    @property
    def memory_mb(self) -> int: ...


def read(place: Path, status: int, stopped: str, source: Source, limits: _Limits) -> Report:
    """Return the report that the child left; where it left none, one that says what happened.

    That is "wrong" where their function was running, and "could-not-run" where the program was
    only being read, or where nothing is known.
    """
    try:
        return Report.from_dict(json.loads((place / REPORT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        pass
    trace = _text(place / TRACE)
    what, cause = _reason(trace, status, stopped, limits)
    line, called = _where(trace, source.name)
    if line is None:
        return Report("could-not-run", untestable=(f"{what}.",))
    if not called:
        return Report("could-not-run", untestable=(f"{what}, at line {line}.",))
    lines = source.text.splitlines()
    text = lines[line - 1] if line <= len(lines) else ""
    column = len(text) - len(text.lstrip()) + 1
    finding = Finding(
        "", "", line=line, column=column, source=text, message=f"{what}: line {line} was running.",
        cause=Cause(cause, "pattern", what),
    )  # fmt: skip
    return Report("wrong", findings=(finding,))


def read_walk(place: Path) -> Walk | None:
    """Return the run that the child left beside its report; None where it left none."""
    try:
        return Walk.from_dict(json.loads((place / WALK).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _reason(trace: str, status: int, stopped: str, limits: _Limits) -> tuple[str, str]:
    """Return what happened, as the beginning of a sentence, and a short name for it."""
    if stopped == "memory":
        return f"more than {limits.memory_mb:,} MB of memory were used", "memory"
    if stopped == "time" or "Timeout (" in trace:
        return f"it was still running after {limits.seconds:g} s", "endless"
    if _LEFT in trace:
        return f"the program ended its own process with status {status} (os._exit)", "exit"
    if status < 0:
        name = _signal_name(-status)
        return f"the Python process crashed ({name})", "crash"
    return f"the Python process ended with status {status} and without a result", "crash"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _where(trace: str, name: str) -> tuple[int | None, bool]:
    """Return the line of the program that was running, and whether that was in a function we called.

    A trace has the most recent call first, one thread after the other; names are in ASCII there.
    """
    shown = name.encode("ascii", "backslashreplace").decode()
    for thread in re.split(r"\n(?=(?:Current t|T)hread )", trace):
        frames = [match.groups() for match in _FRAME.finditer(thread)]
        theirs = [(int(line), function) for file, line, function in frames if file == shown]
        if theirs:
            return theirs[0][0], all(function != "<module>" for _, function in theirs)
    return None, False
