"""What their procedures do, line by line: every call with what went in and out, and what each line changed."""

import ast
import contextlib
import copy
import dataclasses
import io
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

Array = Any
Leaves = dict[tuple[str, ...], Array]

MOST_EVENTS = 2_500  # kept of one run; what comes later is run and not kept
SECONDS = 2.0  # a run is stopped then
_DEPTH, _WIDTH = 4, 64


@dataclasses.dataclass
class Line:
    """One executed line of a procedure: the numbers that its function saw before and after it."""

    start: int
    function: str
    line: int
    before: Leaves
    end: int = -1
    after: Leaves = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Call:
    """One call of a function of theirs; `line` is the caller's, `start` and `end` order all events.

    `before` is what it was given (and the globals and attributes that it uses), `after` what it
    left: its variables, and its result under "return". `given` are the arguments themselves, copied.
    """

    start: int
    name: str
    line: int
    caller: str
    before: Leaves
    arguments: tuple[str, ...]
    end: int = -1
    after: Leaves = dataclasses.field(default_factory=dict)
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    result: Any = None


@dataclasses.dataclass
class Trace:
    """One run: calls by their start, lines by their end, and how it ended ("" where by itself).

    `failed` are the functions and lines of theirs that an exception went through, the outermost first.
    """

    calls: list[Call] = dataclasses.field(default_factory=list)
    lines: list[Line] = dataclasses.field(default_factory=list)
    stopped: str = ""
    failed: list[tuple[str, int]] = dataclasses.field(default_factory=list)  # where it was raised

    def origin(self, value: Array, start: int, end: int, name: str = "") -> Line | None:
        """Return the line between two events that first brought about this very array.

        With a name, only a variable, key or attribute of this name counts.
        """
        for line in self.lines:
            if start <= line.end <= end and _brought(line, value, name):
                return line
        return None

    def outside(self, names: set[str]) -> "Trace":
        """Return the same run without the lines of some functions."""
        return Trace(self.calls, [line for line in self.lines if line.function not in names])

    def near_origin(self, value: Array, start: int, end: int) -> Line | None:
        """Return the line between two events that first brought about these numbers, to rounding."""
        for line in self.lines:
            if start <= line.end <= end:
                news = (v for p, v in line.after.items() if line.before.get(p) is not v)
                if any(near(v, value) for v in news):
                    return line
        return None

    def between(self, start: int, end: int) -> list[Line]:
        """Return the lines that were begun between two events."""
        return sorted((x for x in self.lines if start < x.start < end), key=lambda x: x.start)

    def assigned(self, name: str, end: int, assigning: Mapping[str, set[int]]) -> Line | None:
        """Return the last executed line before an event that assigns a name."""
        lines = assigning.get(name, set())
        for line in reversed(self.lines):
            if line.start <= end and line.line in lines:
                return line
        return None


def _brought(line: Line, value: Array, name: str) -> bool:
    for path, left in line.after.items():
        if (name and path[-1] != name) or left.shape != np.shape(value):
            continue
        old = line.before.get(path)
        if (old is None or not same(old, left)) and same(left, value):
            return True
    return False


def same(first: Array, second: Array) -> bool:
    """Whether two arrays have the same shape and the very same numbers."""
    return np.shape(first) == np.shape(second) and np.array_equal(first, second, equal_nan=True)


def near(first: Array, second: Array, digits: float = 1e-9) -> bool:
    """Whether two arrays agree to rounding, relative to the larger one's scale."""
    if np.shape(first) != np.shape(second):
        return False
    scale = max(np.max(np.abs(first), initial=0), np.max(np.abs(second), initial=0))
    return bool(np.max(np.abs(first - second), initial=0) <= digits * scale)


def leaves(value: Any, path: tuple[str, ...] = (), depth: int = _DEPTH) -> Leaves:
    """Return a copy of all numbers inside a value, each with the names that lead to it."""
    if isinstance(value, np.ndarray | np.number | float | int):
        array = np.asarray(value)
        return {path: array.astype(float)} if array.dtype.kind in "iuf" else {}
    if not depth:
        return {}
    if isinstance(value, list | tuple):
        if value and all(isinstance(v, int | float | np.number) for v in value):
            return {path: np.array(value, float)}
        value = dict(enumerate(value)) if len(value) <= _WIDTH else {}
    elif hasattr(value, "__dict__") and not isinstance(value, type | ModuleType | FunctionType):
        value = vars(value)
    if not isinstance(value, dict) or len(value) > 2 * _WIDTH:
        return {}
    found: Leaves = {}
    for key, inner in value.items():
        found |= leaves(inner, (*path, str(key)), depth - 1)
    return found


class Tracer:
    """Runs something of theirs and writes a Trace; their output goes nowhere.

    `files` are the file names of their code, `procedures` the functions whose every line is kept,
    `enough` says after which calls of which function the run is stopped.
    """

    def __init__(self, files: set[str], procedures: set[str], enough: Mapping[str, int]):
        self.files, self.procedures = files, procedures
        self.left = dict(enough)
        self.trace = Trace()
        self.events = 0
        self.until = time.monotonic() + SECONDS
        self.open: dict[int, tuple[Call | None, Line | None]] = {}

    def run(self, what: Callable[[], Any]) -> Trace:
        """Run it, to its end or until it is stopped."""
        before = sys.gettrace()
        with quiet():
            sys.settrace(self._enter)
            try:
                what()
            except _Enough as reason:
                self.trace.stopped = str(reason)
            except (Exception, SystemExit) as error:
                self.trace.stopped = f"{type(error).__name__}: {error}"
                places = traceback.walk_tb(error.__traceback__)
                self.trace.failed = [
                    (frame.f_code.co_name, line)
                    for frame, line in places
                    if frame.f_code.co_filename in self.files
                ]
            finally:
                sys.settrace(before)
        return self.trace

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if time.monotonic() > self.until:
            raise _Enough("takes too long")
        comprehension = code.co_name.startswith("<") and code.co_name != "<module>"
        if code.co_filename not in self.files or comprehension:
            return None
        if self.events > MOST_EVENTS and code.co_name not in self.left:
            return None
        caller = self._caller(frame)
        place = (caller.f_lineno, caller.f_code.co_name) if caller else (0, "")
        call = Call(self._tick(), code.co_name, *place, _seen(frame), _arguments(code))
        call.given = _copied(frame, call.arguments)
        self.trace.calls.append(call)
        self.open[id(frame)] = (call, None)
        frame.f_trace_lines = code.co_name in self.procedures
        if self.left.get(code.co_name, 1) == 0:
            raise _Enough("enough")
        if code.co_name in self.left:
            self.left[code.co_name] -= 1
        return self._inside

    def _caller(self, frame: FrameType) -> FrameType | None:
        """The function of theirs that called, whatever of ours stands between."""
        caller = frame.f_back
        while caller and caller.f_code.co_filename not in self.files:
            caller = caller.f_back
        return caller

    def _inside(self, frame: FrameType, event: str, argument: Any) -> Any:
        call, line = self.open[id(frame)]
        if event == "return":
            assert call is not None
            call.after = _seen(frame) | leaves(argument, ("return",))
            call.end, call.result = self._tick(), argument
            self._close(line, call.after)
            del self.open[id(frame)]
        elif event == "line":
            if time.monotonic() > self.until:
                raise _Enough("takes too long")
            if self.events > MOST_EVENTS:
                return self._inside
            now = _seen(frame)
            self._close(line, now)
            new = Line(self._tick(), frame.f_code.co_name, frame.f_lineno, now)
            self.open[id(frame)] = (call, new)
        return self._inside

    def _close(self, line: Line | None, after: Leaves) -> None:
        if line:
            line.end, line.after = self._tick(), after
            self.trace.lines.append(line)

    def _tick(self) -> int:
        self.events += 1
        return self.events


class _Enough(BaseException):
    """The run has shown all that is needed."""


def _arguments(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _copied(frame: FrameType, names: tuple[str, ...]) -> dict[str, Any]:
    given = {n: frame.f_locals[n] for n in names if n != "self"}
    try:
        return copy.deepcopy(given)
    except Exception:  # an open file, a lock: not what a forward pass is given
        return {}


def _seen(frame: FrameType) -> Leaves:
    """The numbers that a function sees: its variables, and the globals that it names."""
    found: Leaves = {}
    names = frame.f_code.co_names
    if frame.f_locals is not frame.f_globals:
        for name in names:
            if name in frame.f_globals:
                found |= leaves(frame.f_globals[name], (name,), 2)
    for name, value in list(frame.f_locals.items()):
        if name[:2] != "__":
            found |= leaves(value, (name,))
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Their output goes nowhere, and NumPy does not warn."""
    nowhere = io.StringIO()
    with (
        contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere),
        np.errstate(all="ignore"),
    ):  # fmt: skip
        yield


def assignments(program: ast.Module) -> dict[str, set[int]]:
    """Return for each name the lines of all statements that assign it."""
    found: dict[str, set[int]] = {}
    for node in ast.walk(program):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for inner in (n for target in targets for n in ast.walk(target)):
                found.setdefault(named(inner), set()).update(_lines(node))
    return found


def named(node: ast.AST) -> str:
    """Return the name, attribute or text that a node is, "" where it is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return getattr(node, "attr", "")


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def statement(program: ast.Module, line: int) -> ast.stmt | None:
    """Return the innermost statement that a line belongs to; of a block, its header."""
    found = None
    for node in ast.walk(program):
        if not isinstance(node, ast.stmt) or line not in _lines(node):
            continue
        if found is None or len(_lines(node)) <= len(_lines(found)):
            found = node
    return found
