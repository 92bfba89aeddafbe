"""From what was located to what is said: findings with line, quantity, numbers and cause."""

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.checking.failing import name_failure
from unrolled.checking.locating import Located, bare, crash_spot
from unrolled.checking.overflowing import name_overflow
from unrolled.checking.recognising import Node, laid_out, same
from unrolled.checking.replay import Witness, name_cause
from unrolled.checking.report import Cause, Finding, Worst
from unrolled.checking.running import Repair, Run, Runner, node_set
from unrolled.checking.translating import translated
from unrolled.checking.watching import Event, Place
from unrolled.equations.expressions import Expression
from unrolled.equations.printers import Printer

Array = Any
_SAID_AS = {"losses": "loss", "da_next": "da_prev", "dc_next": "dc_prev"}


def finding(runner: Runner, located: Located, fixed: Sequence[tuple[Runner, Run]]) -> Finding:
    """Return the finding of a located mistake.

    `fixed` are runs, on one or more problems, with all mistakes repaired: what their code computes at
    the place there, it computes from right values. What is said of the cause has to hold on all.
    """
    place, node = located.place, located.node
    quantity, name = _said_as(runner, located), _their_name(runner, place, node.name)
    spot = _spot(runner, place)
    cause = _cause(runner, located, fixed)
    return Finding(
        quantity=quantity, name=name, t=node.t,
        file=str(runner.program.path), line=spot[0], column=spot[1],
        source=_source(runner, spot[0]), shape=_shape(runner, located),
        expected_shape=_expected_shape(runner, node.name), equation=_equation(runner, node.name),
        worst=_worst(runner, located), cause=cause,
        message=_message(quantity, node.t, name, cause),
    )  # fmt: skip


def _said_as(runner: Runner, located: Located) -> str:
    """The quantity in the legend's best-known words: log ŷ is the prediction's, or, where that is
    right, the loss's.
    """
    node = located.node
    if node.name != "log_y_hat":
        return _SAID_AS.get(node.name, node.name)
    return "loss" if Node("y_hat", node.t) in node_set(located.run, runner) else "y_hat"


def unlocated(runner: Runner, run: Run) -> Finding:
    """Return the finding where no place could be made out: the first result that is wrong."""
    if run.error is not None:
        return _stopped(runner, run, run.error)
    output = run.wrong[0]
    expected = runner.plan.expected(output, runner.truth, runner.reading)
    place = _last_with(runner, run, output.value)
    line = place.line if place else None
    message = (
        f"{output.name} is wrong, and no single place was found from where everything is right"
    )
    return Finding(
        quantity=output.quantity, name=output.name, file=str(runner.program.path), line=line,
        source=_source(runner, line or 0), shape=tuple(np.shape(output.value)),
        expected_shape=_expected_shape(runner, output.quantity),
        equation=_equation(runner, output.quantity), worst=_off(output.value, expected),
        message=message,
    )  # fmt: skip


def _stopped(runner: Runner, run: Run, error: BaseException) -> Finding:
    """Return the finding where their code failed, and no replaced value lets it go on."""
    spot = crash_spot(runner, error)
    line = spot[0] if spot else None
    quantity = next((n.name for n in runner.order.needs if n not in node_set(run, runner)), "")
    message = f"their code failed here on a valid problem: {type(error).__name__}: {error}"
    return Finding(
        quantity=_SAID_AS.get(quantity, quantity), name="", file=str(runner.program.path), line=line,
        source=_source(runner, line or 0), equation=_equation(runner, quantity),
        cause=Cause("failed", "pattern", message), message=message,
    )  # fmt: skip


def second_call(runner: Runner, run: Run) -> list[Finding]:
    """Return what is wrong when the backward is called a second time."""
    found = []
    for output in run.outcome.again:
        expected = runner.plan.expected(output, runner.truth, runner.reading)
        if expected is None or same(
            _array(output.value), np.asarray(expected, float), runner.tolerance
        ):
            continue
        twice = same(_array(output.value), 2 * np.asarray(expected, float), runner.tolerance)
        place = _last_with(runner, run, output.value)
        line = place.line if place else None
        said = "the second call adds to what the first one left: nothing sets it back to zero"
        cause = Cause("not_reset", "exact" if twice else "pattern", said)
        found.append(Finding(
            quantity=output.quantity, name=output.name, file=str(runner.program.path), line=line,
            source=_source(runner, line or 0), shape=tuple(np.shape(output.value)),
            equation=_equation(runner, output.quantity), worst=_off(output.value, expected),
            cause=cause, message=f"{output.name} is right after one call of the backward, and wrong after two: {said}",
        ))  # fmt: skip
    return found


def _array(value: Any) -> Array:
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return np.empty(0)


def _last_with(runner: Runner, run: Run, value: Any) -> Place | None:
    """The last place that computed a value."""
    wanted = _array(value)
    for event in reversed(run.watcher.events):
        place = runner.places[event.place]
        computes = place.kind in ("updated", "assigned", "expression")
        loads = isinstance(place.node, ast.Name | ast.Subscript | ast.Attribute)
        if computes and not loads and np.array_equal(event.value, wanted):
            return place
    return None


def _off(value: Any, expected: Array | None) -> Worst | None:
    theirs, right = _array(value), np.asarray(expected, float)
    if theirs.shape != right.shape or not theirs.size:
        return None
    with np.errstate(all="ignore"):
        off = np.nan_to_num(np.abs(theirs - right), nan=np.inf)
    index = np.unravel_index(int(np.argmax(off)), off.shape)
    return Worst(tuple(int(k) for k in index), float(theirs[index]), float(right[index]))


def _spot(runner: Runner, place: Place) -> tuple[int, int]:
    return place.line, place.column


def _source(runner: Runner, line: int) -> str:
    lines = runner.program.source.splitlines()
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _their_name(runner: Runner, place: Place, name: str) -> str:
    """What they call it: the target of the assignment, or the expression itself."""
    around: int | None = place.number
    while around is not None:
        inside = runner.places[around]
        if inside.targets:
            return bare(inside.targets[0])
        around = inside.parent
    return ast.unparse(place.node)[:60] if place.kind != "loop" else name


def _expected_shape(runner: Runner, name: str) -> str:
    shapes = runner.truth.table.shapes
    return notation.shape_text(shapes[name]) if name in shapes else ""


def _equation(runner: Runner, name: str) -> str:
    """The right equation, as text."""
    table = runner.truth.table
    printer = Printer(table)
    for equation in table.equations:
        if equation.name == name and equation.direction in ("forward", "backward"):
            return "{} = {}".format(*printer.equation(equation))
    return ""


def events_at(runner: Runner, run: Run, place: int) -> list[tuple[int | None, Event]]:
    """Return what was seen at a place, with its step."""
    return [
        (runner.timeline.of(event.rounds, run.watcher.entries) if runner.timeline else None, event)
        for event in run.watcher.events
        if event.place == place and event.value is not None
    ]


def _share_place(runner: Runner, repair: Repair) -> int:
    """Where a sum is repaired, the place of what is added to it."""
    place = runner.places[repair.place]
    if repair.form not in ("sum", "up"):
        return place.number
    node = place.node
    value = node.value if isinstance(node, ast.AugAssign) else node
    for other in runner.places:
        if isinstance(node, ast.AugAssign) and other.node is value and other.kind == "added":
            return other.number
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
            inner = [s for s in (value.left, value.right) if ast.unparse(s) not in place.targets]
            if len(inner) == 1 and other.node is inner[0]:
                return other.number
    return place.number


def _witnesses(runner: Runner, run: Run, located: Located) -> list[Witness]:
    """What they computed there, at every step, in the legend's layout.

    Where sums are formed that is what a step added; if nothing is wrong with that, it is the total.
    """
    name, repair = located.node.name, located.repair
    if repair.form != "total":
        shares = _shares(runner, run, located)
        right = [same(w.theirs, np.asarray(runner.truth.value(name, w.t))) for w in shares]
        if repair.form == "" or not all(right):
            return shares
    events = events_at(runner, run, repair.place)
    expected = np.asarray(runner.truth.value(name, None))
    totals = _of_total(runner, name, events)
    return [Witness(runner.truth, None, to_legend(runner, name, e.value, expected)) for e in totals]


def _shares(runner: Runner, run: Run, located: Located) -> list[Witness]:
    """What each step computed at the place of a mistake, or added there."""
    name, repair = located.node.name, located.repair
    place = _share_place(runner, repair)
    found = []
    for t, event in events_at(runner, run, place):
        if t is None:
            continue
        expected = np.asarray(runner.truth.value(name, t))
        theirs = to_legend(runner, name, event.value, expected)
        before = runner.right_value(repair, t) if repair.form in ("sum", "up") else None
        if before is not None and place == repair.place and theirs.shape == expected.shape:
            theirs = theirs - (before - expected)  # what this step added
        found.append(Witness(runner.truth, t, theirs))
    return found


def _of_total(
    runner: Runner, name: str, events: Sequence[tuple[int | None, Event]]
) -> Sequence[Event]:
    """Which of the values at a place became the total: the last one in a loop over time; where several
    totals pass through one line, the one that resembles it most.
    """
    if not events or events[-1][0] is not None:
        return [event for _, event in events[-1:]]
    expected = np.ravel(runner.truth.value(name, None))

    def resemblance(event: Event) -> float:
        value = np.ravel(
            to_legend(runner, name, event.value, np.asarray(runner.truth.value(name, None)))
        )
        if value.shape != expected.shape or not np.any(value):
            return -1.0
        return float(abs(value @ expected) / np.linalg.norm(value) / np.linalg.norm(expected))

    return [max((event for _, event in events), key=resemblance)]


def to_legend(runner: Runner, name: str, value: Array, expected: Array) -> Array:
    """Return their value in the legend's layout, as far as its shape tells."""
    square = name[:2] == "dW" and expected.ndim == 2 and len(set(expected.shape)) == 1
    if not square:
        turned = laid_out(value, expected.shape)
        if turned is not None:
            return turned
    return value if runner.plan.columns or value.ndim != 2 else value.T


def _cause(runner: Runner, located: Located, fixed: Sequence[tuple[Runner, Run]]) -> Cause:
    node, run = located.node, located.run
    if located.repair.form == "loop":
        return _left_out(runner, located)
    if runner.forward_only:
        return name_overflow(runner, located)
    if node.name[:-1] in runner.truth.initial:
        return _start(runner, located)
    witnesses = [w for other, other_run in fixed for w in _witnesses(other, other_run, located)]
    if not witnesses:
        return name_failure(runner, located) if run.error is not None else Cause()
    yours = _yours(*fixed[0], located)
    return name_cause(node.name, witnesses, yours)


def _yours(runner: Runner, fixed: Run, located: Located) -> Expression | None:
    """What they wrote, in the legend's words: at the first step of the place that can be read."""
    place = _share_place(runner, located.repair)
    for t, event in events_at(runner, fixed, place):
        found = (
            translated(runner, fixed, runner.places[place], event) if t == located.node.t else None
        )
        if found is not None:
            return found
    return None


def _start(runner: Runner, located: Located) -> Cause:
    """What stands where an initial state belongs."""
    name = located.node.name
    values = [event.value for _, event in events_at(runner, located.run, located.place.number)]
    if values and all(not np.any(value) for value in values):
        message = (
            f"zeros stand where the initial state {name} belongs, so what was passed in is not used"
        )
        return Cause("start_ignored", "exact", message)
    return Cause("start", "pattern", f"this is not the initial state {name} that was passed in")


def _left_out(runner: Runner, located: Located) -> Cause:
    """A loop that ends too early or begins too late."""
    run = located.run
    missing = sorted(
        {
            t
            for number, entry in enumerate(run.watcher.entries)
            if entry.place == located.place.number and runner.timeline
            for t in runner.timeline.missing(number, entry)
        }
    )
    last = runner.problem.T - 1
    steps = ", ".join(f"{t} (the last)" if t == last else f"{t} (the first)" if not t else str(t)
                      for t in missing)  # fmt: skip
    message = f"the loop leaves out step {steps} of t = 0 … {last}, so nothing is computed there"
    return Cause("step_left_out", "exact", message)


def _shape(runner: Runner, located: Located) -> tuple[int, ...] | None:
    events = events_at(runner, located.run, located.repair.place)
    return tuple(events[0][1].value.shape) if events else None


def _worst(runner: Runner, located: Located) -> Worst | None:
    """The entry that is off most at the step of the finding."""
    node = located.node
    for t, event in events_at(runner, located.run, located.repair.place):
        if node.t is not None and t != node.t:
            continue
        expected = runner.right_value(located.repair, t)
        if expected is None:
            continue
        expected = laid_out(np.asarray(expected, float), event.value.shape)
        return None if expected is None else _off(event.value, expected)
    return None


def _message(quantity: str, t: int | None, name: str, cause: Cause) -> str:
    """What is said in a sentence or two: the cause, or that none was found."""
    if cause.message:
        return cause.message
    symbol = notation.entry(quantity).text + (f"⟨{t}⟩" if t is not None else "")
    called = name if name == symbol else f"{name} ({symbol})"
    return f"{called} is not what the equation gives, and no edit of it that was tried gives your numbers"
