"""Runs the check of a person's file in a process of its own, with limits, and brings the report back.

What this is against is accidents: a loop without end, sys.exit, a huge array, a crash. It is no
prison: code that means harm can get out, and has to be read before it is run, here as anywhere.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import unrolled
from unrolled.checking.report import Report
from unrolled.checking.sandbox import ending
from unrolled.checking.sandbox.memory import resident_mb
from unrolled.checking.sources import Source, read_source
from unrolled.checking.walk import Walk
from unrolled.errors import UnrolledError

EXAMINER = "unrolled.checking.examine"  # the module whose `examined` runs in the child
KEPT = 64_000  # bytes kept of what their code prints
GRACE = 3.0  # seconds that a child has to stop by itself, and say where it was

_START = """import json, sys
task = json.loads(sys.stdin.buffer.read())
sys.path[:] = task["path"]
from unrolled.checking.sandbox.child import main
main(task)
"""
# What a Python process may need; nothing else of the caller's environment is handed on.
_PASSED = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "WINDIR", "LANG", "LC_ALL", "LC_CTYPE",
           "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV")  # fmt: skip
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
               "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Limits:
    """Seconds by the clock, and megabytes of memory."""

    seconds: float = 60.0
    memory_mb: int = 2048


def checked(
    what: str | Path | Source, *, binding: Source | None = None, seconds: float = 60.0,
    memory_mb: int = 2048,
) -> Report:  # fmt: skip
    """Return the report on a program, whatever it does: it is never run in this process.

    Raises UnrolledError where there is no program to read, or no process can be started.
    """
    return walked(what, binding=binding, seconds=seconds, memory_mb=memory_mb, walk=False)[0]


def walked(
    what: str | Path | Source, *, binding: Source | None = None, seconds: float = 60.0,
    memory_mb: int = 2048, walk: bool = True,
) -> tuple[Report, Walk | None]:  # fmt: skip
    """Return the report as `checked` does, and with `walk` one run of the program that is to be shown, if
    a network of it could be run.
    """
    limits = Limits(seconds, memory_mb)
    source = what if isinstance(what, Source) else read_source(what)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="unrolled-check-", ignore_cleanup_errors=True
    ) as folder:
        place = Path(folder).resolve()
        (place / "work").mkdir()
        task = {**_task(source, binding, limits, place), "walk": walk}
        with _child(place, task) as (process, printed):
            stopped = _wait(process, limits)
        report = ending.read(place, process.returncode, stopped, source, limits)
        shown = ending.read_walk(place)
    spent = round(time.monotonic() - begun, 3)
    report = dataclasses.replace(report, printed=printed.text(), seconds=spent)
    return source.placed(report), shown


def _task(source: Source, binding: Source | None, limits: Limits, place: Path) -> dict[str, Any]:
    """Return what the child is told, as JSON holds it."""
    package = str(Path(unrolled.__file__).resolve().parent.parent)
    path = [package, *(os.path.abspath(entry) for entry in sys.path if entry)]
    return {
        "path": list(dict.fromkeys(path)), "examiner": EXAMINER, "place": str(place),
        "source": dataclasses.asdict(source), **dataclasses.asdict(limits),
        "binding": dataclasses.asdict(binding) if binding else None,
    }  # fmt: skip


def _environment(place: Path) -> Mapping[str, str]:
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place / "work"))
    return passed | temporary | dict.fromkeys(_ONE_THREAD, "1") | {"MPLBACKEND": "Agg"}


@contextlib.contextmanager
def _child(
    place: Path, task: dict[str, Any]
) -> Iterator[tuple[subprocess.Popen[bytes], "_Printed"]]:
    """Start the child and hand it its task; when this is left, it and what it started are gone."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", "-c", _START], cwd=place / "work",
            env=_environment(place), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except (OSError, TypeError) as error:  # TypeError: Python inside another program has no name
        raise UnrolledError(f"no second Python process could be started: {error}") from None
    assert process.stdin is not None
    assert process.stdout is not None
    printed = _Printed(process.stdout)
    try:
        with contextlib.suppress(BrokenPipeError, OSError), process.stdin as pipe:
            pipe.write(json.dumps(task).encode())
        yield process, printed
    finally:
        _kill(process)
        process.wait()
        printed.join(GRACE)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the child, and where the system has groups of processes all that it started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> str:
    """Wait for the child's end; return "time" or "memory" where a limit was reached, else nothing."""
    until = time.monotonic() + limits.seconds + GRACE
    while True:
        try:
            process.wait(min(0.2, max(0.0, until - time.monotonic())))
            return ""
        except subprocess.TimeoutExpired:
            if time.monotonic() >= until:
                return "time"
            if resident_mb(process.pid) > limits.memory_mb:
                return "memory"


class _Printed(threading.Thread):
    """Reads all that the child prints, so that it never waits, and keeps the beginning."""

    def __init__(self, pipe: Any):
        super().__init__(daemon=True)
        self._pipe, self._kept, self._more = pipe, bytearray(), 0
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._pipe:
            while block := self._pipe.read1(65536):
                room = KEPT - len(self._kept)
                self._kept += block[:room]
                self._more += max(0, len(block) - room)

    def text(self) -> str:
        """Return what was kept, and how much was not."""
        text = bytes(self._kept).decode("utf-8", "replace")
        return text + (f"\n… and {self._more:,} bytes more\n" if self._more else "")
