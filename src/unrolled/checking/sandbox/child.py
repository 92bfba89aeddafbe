"""The process that runs a person's file: limits itself, examines, and leaves the report in a file.

The report does not go through standard output: a program that prints or closes it loses nothing.
"""

import contextlib
import dataclasses
import faulthandler
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from unrolled.checking.binding import Binding, load_binding
from unrolled.checking.report import Report
from unrolled.checking.sandbox import guard
from unrolled.checking.sandbox.ending import REPORT, TRACE, WALK
from unrolled.checking.sandbox.memory import LIMITED
from unrolled.checking.sources import Source
from unrolled.errors import UnrolledError, one_line

_LARGEST_FILE = 64_000_000  # bytes
_exit, _trace = os._exit, faulthandler.dump_traceback  # as they are before their code runs


def main(task: dict[str, Any]) -> None:
    """Do a task that the sandbox sent, and end the process, whatever threads are still there."""
    place = Path(task["place"])
    trace = open(place / TRACE, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    _close_input()
    with contextlib.suppress(AttributeError):  # what was printed is there even after a crash
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    examiner = importlib.import_module(task["examiner"])
    _limit(task["seconds"], task["memory_mb"], trace)
    source = Source(**task["source"])
    if source.folder:
        sys.path.insert(0, source.folder)  # where `python my_rnn.py` finds its neighbours
    refused = guard.install(place)
    report, checks = _examined(examiner, source, task)
    notes = (*report.untestable, *dict.fromkeys(refused))
    report = dataclasses.replace(report, untestable=notes)
    (place / REPORT).write_text(json.dumps(report.to_dict()), encoding="utf-8")
    if task["walk"]:
        _leave_walk(checks, report, place / WALK)
    with contextlib.suppress(Exception):  # closed, or put out of use
        sys.stdout.flush()
    _exit(0)


def _leave_walk(checks: Sequence[Any], report: Report, path: Path) -> None:
    """Leave what is needed to show their code beside the right calculation, if there is something."""
    walk = importlib.import_module("unrolled.checking.collecting").collect(checks, report.findings)
    if walk is not None:
        path.write_text(json.dumps(walk.to_dict()), encoding="utf-8")


def _close_input() -> None:
    """Let input() find the end of a file at once."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the process's own


def _limit(seconds: float, memory_mb: int, trace: TextIO) -> None:
    """Set what this process may use; when it crashes or is out of time it says where it was."""
    faulthandler.enable(trace)
    faulthandler.dump_traceback_later(seconds, exit=True, file=trace)
    os._exit = _leaving(trace)
    try:
        import resource
    except ImportError:  # Windows: the parent watches
        return
    limits = {"CORE": 0, "FSIZE": _LARGEST_FILE, "CPU": int(seconds) + 5}
    if LIMITED:
        limits["AS"] = memory_mb * 1_000_000
    for name, most in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        with contextlib.suppress(ValueError, OSError):  # a lower one is set already
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _leaving(trace: TextIO) -> Any:
    def leave(status: int) -> None:
        _trace(trace)
        trace.write(f"left by os._exit with status {status}\n")
        trace.flush()
        _exit(status)

    return leave


def _examined(
    examiner: ModuleType, source: Source, task: dict[str, Any]
) -> tuple[Report, Sequence[Any]]:
    """Return the report, or one that says in a sentence why there is none; and the checks it is of."""
    try:
        found: tuple[Report, Sequence[Any]] = examiner.examined(
            source.name, source=source.text, binding=_binding(task["binding"])
        )
        return found
    except UnrolledError as error:
        return _could_not(str(error))
    except MemoryError:
        return _could_not(f"more than {task['memory_mb']:,} MB of memory were used.")
    except RecursionError:
        return _could_not("functions called one another without end.")
    except (SystemExit, KeyboardInterrupt) as error:
        return _could_not(f"the program ended itself ({type(error).__name__}: {error}).")
    except BaseException as error:
        traceback.print_exc()
        return _could_not(one_line(_sentence(error, source.name)))


def _sentence(error: BaseException, name: str) -> str:
    """Return what an error says, with their line where it comes from there."""
    said = f"{type(error).__name__}: {error}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == name:
            return f"the program failed at line {frame.lineno}: {said}."
    return f"the check itself failed, which is a bug of ours ({said})."


def _could_not(sentence: str) -> tuple[Report, Sequence[Any]]:
    return Report("could-not-run", untestable=(sentence,)), ()


def _binding(told: dict[str, Any] | None) -> Binding | None:
    return load_binding(Source(**told)) if told else None
