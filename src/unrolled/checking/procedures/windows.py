"""One-hot windows of a stream of symbols: the inputs, the targets one symbol later, the next window."""

import ast
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.given import SYMBOLS
from unrolled.checking.procedures.iterations import Iteration
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import Call, Line, Trace, same
from unrolled.checking.report import Cause, Finding, Worst

Array = Any


def one_hot(ids: Array, n: int) -> Array:
    """Return (n, …) one-hot columns of integer ids (…)."""
    return np.moveaxis(np.eye(n)[np.asarray(ids, int)], -1, 0)


def decoded(values: Array) -> tuple[Array, float] | None:
    """Return the ids that one-hot values stand for and the size of their ones; None where they are none.

    The axis of the features is the one along which there is one entry that is not zero; the ids
    keep the others, in their order. Whole numbers with at most one axis, or in two, are ids as they are.
    """
    if values.ndim <= 2 and not np.any(values % 1) and not _is_one_hot(values):
        return (values, 1.0) if values.size and values.min() >= 0 else None
    for axis in range(values.ndim):
        if values.shape[axis] > 1 and np.all(np.count_nonzero(values, axis=axis) == 1):
            size = np.unique(values[values != 0])
            if len(size) == 1 and values.shape[axis] >= SYMBOLS:
                return np.argmax(np.abs(values), axis=axis), float(size[0])
    return None


def _is_one_hot(values: Array) -> bool:
    return values.ndim == 2 and any(
        np.all(np.count_nonzero(values, axis=k) == 1) and values.shape[k] >= SYMBOLS for k in (0, 1)
    )


def streams(
    ids: Array, stream: Array, by: int = 1, state: tuple[int, ...] = ()
) -> tuple[Array, list[list[int]]] | None:
    """Return ids as (m, T) rows and for each the places in the stream where it can stand.

    With `by`, a row is every so manieth symbol. `state` is the shape of a state, which has the axis
    m and not T. None where no way to read the axes gives pieces of the stream.
    """
    rows = ids.reshape(1, -1) if ids.ndim < 2 else ids
    both = [read for read in (rows, rows.T) if len(read) in state and read.shape[1] not in state]
    for read in both if len(both) == 1 else (rows, rows.T):
        places = [_places(row, stream, by) for row in read]
        if all(places) and read.shape[1] > 1:
            return read, places
    return None


def _pieces(
    ids: Array, stream: Array, by: int = 1, state: tuple[int, ...] = ()
) -> tuple[Array, list[list[int]]] | None:
    """What `streams` returns, where it is certain: pieces of two or three symbols are found by chance."""
    found = streams(ids, stream, by, state)
    return found if found and found[0].shape[1] > 3 else None


def _places(row: Array, stream: Array, by: int = 1) -> list[int]:
    most = len(stream) - (len(row) - 1) * by
    return [p for p in range(most) if np.array_equal(stream[p::by][: len(row)], row)]


def window_ids(program: Program, iteration: Iteration, role: str) -> Array | None:
    """Return the ids of an iteration's inputs (role "X") or targets ("Y"); raw values where no ids."""
    for value in iteration.given(program, role).values():
        found = decoded(value)
        return found[0] if found else value
    return None


def goes_on(program: Program, before: Iteration, now: Iteration) -> bool:
    """Whether each stream of a window begins with what was the target of the window before."""
    X, Y = window_ids(program, now, "X"), window_ids(program, before, "Y")
    if X is None or Y is None:
        return False
    X, Y = (v.reshape(1, -1) if v.ndim < 2 else v for v in (X, Y))
    return X.shape == Y.shape and bool(
        np.array_equal(X[:, 0], Y[:, -1]) or np.array_equal(X[0], Y[-1])
    )


def examine_windows(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with the inputs and targets that were cut from the stream."""
    given = {role: done[0].given(program, role) if done else {} for role in ("X", "Y")}
    if training.ids is None or not given["X"] or not given["Y"]:
        message = "inputs and targets were not tested: they are not cut from a stream"
        examined.untestable.append(message)
        return
    (x_name, X), (y_name, Y) = (next(iter(v.items())) for v in given.values())
    xs, ys = decoded(X), decoded(Y)
    if xs is not None and ys is None:
        short = _no_last(program, training, done[0], y_name, Y)
        examined.findings += short
        if short:
            return
    if xs is None or ys is None:
        examined.untestable.append("inputs and targets were not tested: they are not one-hot")
        return
    if abs(xs[1] - 1) > 1e-9:
        examined.findings += _scale(program, training, done[0], x_name, X, xs[1])
    state = next((v.shape for v in done[0].given(program, "state").values() if v.ndim > 1), ())
    found = streams(xs[0], training.ids, state=state)
    if found is None or ys[0].shape != xs[0].shape:
        cut = _reshaped(program, training, done[0], x_name, X)
        cut = cut or _reshaped(program, training, done[0], y_name, Y, "Y")
        if ys[0].shape == xs[0].shape:
            cut = cut or _backwards(program, training, done[0], x_name, xs[0], ys[0], state)
            cut = cut or _coded_otherwise(program, training, done[0], x_name, xs[0], ys[0], state)
            cut = cut or _far_apart(program, training, done[0], y_name, xs[0], ys[0], state)
        examined.findings += cut
        if not cut:
            message = "targets were not tested: the inputs are no pieces of the stream"
            examined.untestable.append(message)
        return
    read, places = found
    targets = _as_rows(ys[0], read, xs[0])
    wrong = _targets(read, targets, places, training.ids)
    if wrong is None:
        examined.proved.append("targets are the next symbols of the stream")
        return
    line = made_at(training, done[0], y_name, Y)
    examined.findings.append(
        finding(program, "Y", y_name, line, wrong[0], worst=Worst.between(targets, wrong[1]))
    )


def _no_last(
    program: Program, training: Training, iteration: Iteration, name: str, Y: Array
) -> list[Finding]:
    """A finding where one-hot targets of a full window have none at their last step."""
    for axis in range(Y.ndim) if Y.ndim > 1 else ():
        ones = np.count_nonzero(Y, axis=axis)
        for steps in range(ones.ndim):
            per_step = np.moveaxis(ones, steps, 0).reshape(ones.shape[steps], -1)
            if len(per_step) > 2 and np.all(per_step[:-1] == 1) and np.all(per_step[-1] == 0):
                message = "the last step of a window has no target, though the stream goes on"
                line = made_at(training, iteration, name, Y)
                return [finding(program, "Y", name, line, exact("no_last_target", message))]
    return []


def _reshaped(
    program: Program, training: Training, iteration: Iteration, name: str, X: Array,
    quantity: str = "X",
) -> list[Finding]:  # fmt: skip
    """A finding where the axes of the windows were exchanged by a reshape, which mixes the numbers."""
    for axes in itertools.permutations(range(X.ndim)) if X.ndim == 3 else ():
        shape = tuple(X.shape[k] for k in axes)
        found = decoded(X.reshape(shape))
        if shape != X.shape and found and _pieces(found[0], training.ids):
            message = (
                f"the windows {shape} were brought to {X.shape} by reshape, which mixes symbols and "
                "steps: transpose exchanges axes"
            )
            line = made_at(training, iteration, name, X)
            right = X.reshape(shape).transpose([axes.index(k) for k in range(3)])
            cause = exact("reshaped", message)
            return [finding(program, quantity, name, line, cause, worst=Worst.between(X, right))]
    return []


def _coded_otherwise(
    program: Program, training: Training, iteration: Iteration, name: str, x: Array, y: Array,
    state: tuple[int, ...],
) -> list[Finding]:  # fmt: skip
    """A finding where the inputs are the stream's symbols with their ids one off, and the targets are not."""
    assert training.ids is not None
    for off in (1, -1):
        ids = (x + off) % SYMBOLS
        found = _pieces(ids, training.ids, state=state)
        if not found or not _among(_as_rows(y, found[0], ids), _next_symbols(found, training.ids)):
            continue
        counted = "as if ids began at 1" if off == 1 else "one too high"
        message = (
            f"the inputs are coded {counted}, the targets are not: the input of a step is not the "
            "symbol that was the target of the step before"
        )
        line = made_at(training, iteration, name, iteration.given(program, "X")[name])
        cause = exact("coded_off", message)
        return [finding(program, "X", name, line, cause, worst=Worst.between(x, ids))]
    return []


def _backwards(
    program: Program, training: Training, iteration: Iteration, name: str, x: Array, y: Array,
    state: tuple[int, ...],
) -> list[Finding]:  # fmt: skip
    """A finding where the steps of a window stand in the order of falling time."""
    assert training.ids is not None
    for axis in range(x.ndim):
        found = _pieces(np.flip(x, axis), training.ids, state=state)
        if not found:
            continue
        read, targets = (
            found[0][:, ::-1],
            _as_rows(np.flip(y, axis), found[0], np.flip(x, axis))[:, ::-1],
        )
        if np.array_equal(targets[:, :-1], read[:, 1:]):
            return []  # it reads backwards, and tells the symbol before
        message = (
            "the inputs of a window stand in the order of falling time: its first step has the symbol "
            "that came last"
        )
        line = made_at(training, iteration, name, iteration.given(program, "X")[name])
        cause = exact("backwards", message)
        worst = Worst.between(read, found[0])
        return [finding(program, "X", name, line, cause, worst=worst)]
    return []


def _far_apart(
    program: Program, training: Training, iteration: Iteration, name: str, x: Array, y: Array,
    state: tuple[int, ...],
) -> list[Finding]:  # fmt: skip
    """A finding where the inputs are every k-th symbol, and each target is the text's next one."""
    assert training.ids is not None
    for by in range(2, len(training.ids) // 2):
        found = _pieces(x, training.ids, by, state)
        if not found:
            continue
        read, targets = found[0], _as_rows(y, found[0], x)
        if np.array_equal(targets[:, :-1], read[:, 1:]):
            return []  # a task of its own
        if not _among(targets, _next_symbols(found, training.ids, by)):
            continue
        message = (
            f"the inputs of a window stand {by} symbols apart in the stream, while its targets are the "
            "text's next symbols: the target of a step is not the input of the next one"
        )
        line = made_at(training, iteration, name, iteration.given(program, "Y")[name])
        cause = exact("far_apart", message)
        worst = Worst.between(targets[:, :-1], read[:, 1:])
        return [finding(program, "Y", name, line, cause, worst=worst)]
    return []


def _as_rows(targets: Array, read: Array, ids: Array) -> Array:
    """Targets as (m, T) rows, with the axes read as those of the inputs were."""
    rows = targets.reshape(1, -1) if targets.ndim < 2 else targets
    return rows if read.shape == rows.shape and _same_way(read, ids) else rows.T


def _next_symbols(
    found: tuple[Array, list[list[int]]], stream: Array, by: int = 1
) -> list[list[Array]]:
    T = found[0].shape[1]
    steps = np.arange(T) * by + 1
    return [[stream[p + steps] for p in ps if p + steps[-1] < len(stream)] for ps in found[1]]


def examine_strides(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add that windows leave out symbols of the stream, or read some twice, though they carry a state."""
    steps = (_step(program, training, *pair) for pair in itertools.pairwise(done))
    seen = [step for step in steps if step is not None and step[0]]
    most = max(set(seen), key=seen.count, default=None)
    if most is None or len(seen) < 2 or most[0] == most[1] or seen[:2] != [most, most]:
        return
    step, T = most
    if step < 0:
        message = "windows are taken from the last to the first, while the state is carried on"
        line = _loop_line(program, training, done[1])
    else:
        left_out, again = f"leaves out {step - T} symbols after", f"repeats {T - step} symbols of"
        what = left_out if step > T else again
        message = f"each window {what} the one before: it begins {step} symbols on, and has {T}"
        line = _stride_line(program, training, done[1], step)
    name = next(iter(done[1].given(program, "X")), "X")
    examined.findings.append(finding(program, "X", name, line, exact("stride", message)))


def _step(
    program: Program, training: Training, before: Iteration, now: Iteration
) -> tuple[int, int] | None:
    """By how many symbols a window begins after the one before, and how many it has; None where unclear."""
    first, second = (_starts(program, training, i) for i in (before, now))
    if not first or not second:
        return None
    T, pairs = first[0], zip(first[1], second[1], strict=False)
    common = set.intersection(*({q - p for p in ps for q in qs} for ps, qs in pairs))
    steps = sorted((s for s in common if 0 < s <= 2 * T or s == -T), key=lambda s: abs(s - T))
    return (steps[0], T) if steps else None


def follows(program: Program, training: Training, before: Iteration, now: Iteration) -> bool | None:
    """Whether a window can begin in the stream where the one before ends; None where they are not of it."""
    first, second = (_starts(program, training, i) for i in (before, now))
    if not first or not second:
        return None
    pairs = zip(first[1], second[1], strict=False)
    return all(any(p + first[0] in qs for p in ps) for ps, qs in pairs)


def _loop_line(program: Program, training: Training, iteration: Iteration) -> int | None:
    """The header of the innermost loop of the training around its forward pass."""
    loops = [n for n in ast.walk(program.tree) if isinstance(n, ast.For | ast.While)]
    line = iteration.forward.line
    around = [n.lineno for n in loops if n.lineno <= line <= (n.end_lineno or n.lineno)]
    return max(around, default=line)


def _starts(
    program: Program, training: Training, iteration: Iteration
) -> tuple[int, list[list[int]]] | None:
    ids = window_ids(program, iteration, "X")
    found = streams(ids, training.ids) if ids is not None and training.ids is not None else None
    return (found[0].shape[1], found[1]) if found else None


def _stride_line(
    program: Program, training: Training, iteration: Iteration, step: int
) -> int | None:
    """The line that goes on to the next window: the first that sets numbers which grow by the step."""
    trains = {f.name for f in program.functions if f.name == training.name}
    functions = {f.name for f in program.having("windows")}
    grown = [
        line
        for among in (functions, trains or {training.name})
        for line in _growing(training, among, step)
    ]
    return grown[0] if grown else iteration.forward.line


def _growing(training: Training, functions: set[str], step: int) -> Iterator[int]:
    """The lines of some functions, in the order of their first run, that set what grows by the step."""
    values: dict[tuple[int, tuple[str, ...]], list[Array]] = {}
    for line in sorted(training.trace.lines, key=lambda x: x.start):
        for path, value in line.after.items() if line.function in functions else ():
            old = line.before.get(path)
            if value.ndim < 3 and (old is None or not same(old, value)):
                values.setdefault((line.line, path), []).append(value)
    for (number, _), held in values.items():
        alike = len(held) > 2 and len({v.shape for v in held[:3]}) == 1
        if alike and all(np.all(b - a == step) for a, b in itertools.pairwise(held[:3])):
            yield number


def _same_way(read: Array, ids: Array) -> bool:
    rows = ids.reshape(1, -1) if ids.ndim < 2 else ids
    return read.shape == rows.shape and np.array_equal(read, rows)


def _targets(
    read: Array, targets: Array, places: list[list[int]], stream: Array
) -> tuple[Cause, Array] | None:
    """The cause of wrong targets and the right ones; None where they are right."""
    T = read.shape[1]
    right = [_shifted(p, 1, T, stream) for p in places]
    if _among(targets, right):
        return None
    pairs = zip(right, targets, strict=True)
    expected = np.stack([rows[0] if rows else row for rows, row in pairs])
    for shift in (0, 2, -1, 3, -2, T):
        if _among(targets, [_shifted(p, shift, T, stream) for p in places]):
            return exact("shift", SHIFTED.get(shift) or other_shift(shift)), expected
    if np.array_equal(targets, np.roll(read, -1, axis=1)):
        message = "the last target of a window is its own first input, not the stream's next symbol"
        return exact("wrapped", message), expected
    for by in range(1, len(targets)):
        if np.array_equal(np.roll(targets, by, axis=0), expected):
            return exact("other_stream", "each stream has the targets of another stream"), expected
        if np.array_equal(np.roll(read, by, axis=0), targets):
            message = (
                "targets are the inputs of another stream at the same step: they are moved along the "
                "streams, not along time"
            )
            return exact("along_streams", message), expected
    if np.array_equal(targets[:, :-1], expected[:, :-1]):
        message = "the last target of a window is not the next symbol of the stream"
        return Cause("last_target", "pattern", message), expected
    return Cause(message="the targets are not the next symbols of the stream"), expected


SHIFTED = {
    0: "targets equal the inputs of the same step, not of the next: they are not shifted",
    -1: "targets equal the inputs of the step before, not of the next: shifted the wrong way",
}


def _among(targets: Array, rows: list[list[Array]]) -> bool:
    """Whether each stream's targets are one of the rows that they may be."""
    return all(
        any(np.array_equal(row, may) for may in mays)
        for row, mays in zip(targets, rows, strict=True)
    )


def other_shift(shift: int) -> str:
    """Return what is said of targets that are shifted by this many steps."""
    return f"targets are the symbols {shift} steps on, not those of the next step"


def _shifted(places: list[int], shift: int, T: int, stream: Array) -> list[Array]:
    """What stands this many symbols on; before the first symbol is the last, as Python counts."""
    starts = [p + shift for p in places]
    return [np.take(stream, range(s, s + T), mode="wrap") for s in starts if s + T <= len(stream)]


def _scale(
    program: Program, training: Training, iteration: Iteration, name: str, X: Array, size: float
) -> list[Finding]:
    if abs(size) < 5:
        return []
    message = (
        f"the inputs are one-hot columns times {size:.6g}: with weights of usual size every unit "
        "sits at ±1 from the first step; inputs are of size 1"
    )
    line = made_at(training, iteration, name, X)
    return [finding(program, "X", name, line, exact("scaled", message), severity="advice")]


def made_at(training: Training, iteration: Iteration, name: str, value: Array) -> int | None:
    """The line that made it: inside a function that cuts windows, or else in the training."""
    trace, end = training.trace, iteration.forward.start
    caller = {iteration.forward.caller, training.name}
    for among in (trace.outside(caller), trace):
        line = among.origin(value, 0, end, name) or among.origin(value, 0, end)
        if line:
            return _shared(trace, line, value, caller, end) or line.line
    return _handed(trace, iteration.forward, value)


def _handed(trace: Trace, forward: Call, value: Array) -> int:
    """The line of the outermost call around a forward pass that was given the value already, made in its arguments."""
    around = (c for c in trace.calls if c.start <= forward.start and not 0 < c.end < forward.end)
    for call in around:
        given = (v for p, v in call.before.items() if p[0] in call.arguments and len(p) == 1)
        if call.line and any(same(v, value) for v in given):
            return call.line
    return forward.line


def _shared(trace: Trace, line: Line, value: Array, trains: set[str], end: int) -> int | None:
    """Where what made it makes other windows in the same way, the line that called it for this one."""
    calls = [c for c in trace.calls if c.name == line.function and 0 < c.end < end]
    made = next((c for c in calls if c.start < line.start < c.end), None)
    if made is None or made.caller in trains:
        return None
    others = [c for c in calls if c is not made and c.caller == made.caller]
    alike = any(
        v.shape == value.shape for c in others for p, v in c.after.items() if p == ("return",)
    )
    return made.line if alike else None
