"""From what was located to what is said: findings with line, quantity, numbers and cause."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.checking.calling import Output
from unrolled.checking.calling.layouts import parts
from unrolled.checking.describing.absent import name_absence
from unrolled.checking.describing.failing import fails_at, name_failure
from unrolled.checking.describing.overflowing import name_overflow
from unrolled.checking.describing.translating import translated
from unrolled.checking.describing.unfilled import filling_place
from unrolled.checking.describing.witnessing import events_at, of_part, share_place, witnesses
from unrolled.checking.locating.missing import crashed
from unrolled.checking.locating.places import bare, crash_spot, is_load
from unrolled.checking.locating.runs import Run, Runner, node_set
from unrolled.checking.locating.search import Located
from unrolled.checking.recognising import Node, laid_out, numbers, same
from unrolled.checking.replay import Witness, name_cause
from unrolled.checking.report import Cause, Finding, Worst
from unrolled.checking.running.watching import Place
from unrolled.equations.expressions import Expression
from unrolled.equations.printers import Printer

Array = Any
_OF_LOGITS = ("y_hat", "log_y_hat", "losses", "loss")
_SAID_AS = {"losses": "loss", "da_next": "da_prev", "dc_next": "dc_prev", "c_prev": "c"}


def finding(runner: Runner, located: Located, fixed: Sequence[tuple[Runner, Run]]) -> Finding:
    """Return the finding of a located mistake.

    `fixed` are runs, on one or more problems, with all mistakes repaired: what their code computes at
    the place there, it computes from right values. What is said of the cause has to hold on all.
    """
    place, node = located.place, located.node
    seen = [w for other, run in fixed for w in witnesses(other, run, located)]
    part, seen = of_part(runner, node.name, seen)
    quantity, name = _said_as(runner, located, part), _their_name(runner, place, node.name)
    cause = _cause(runner, located, fixed, part, seen)
    if cause.id == "zero" and (filled := filling_place(runner, located)) is not None:
        place, cause = filled, replace(cause, message=f"nothing gives {name} a value: it stays 0.")
    return Finding(
        quantity=quantity, name=name, t=node.t,
        file=str(runner.program.path), line=place.line, column=place.column,
        source=source_of(runner, place.line), shape=_shape(runner, located),
        expected_shape=_expected_shape(runner, part), equation=equation_of(runner, part),
        worst=_worst(runner, located), cause=cause,
        message=_message(quantity, node.t, name, cause),
    )  # fmt: skip


def _said_as(runner: Runner, located: Located, name: str) -> str:
    """The quantity in the legend's best-known words: log ŷ is the prediction's, or, where that is
    right, the loss's; [a; x] of the way back is the first gradient's that is made from it.
    """
    wrong = [output.quantity for output in located.run.wrong]
    if located.node.name.startswith("[a") and wrong and all(q[:1] == "d" for q in wrong):
        weights = [q for q in wrong if q[:2] == "dW" and parts(q, runner.problem.cell)]
        return parts(weights[0], runner.problem.cell)[0] if weights else name
    if name != "log_y_hat":
        return said_as(name)
    return "loss" if Node("y_hat", located.node.t) in node_set(located.run, runner) else "y_hat"


def said_as(name: str) -> str:
    """Return the quantity that is named in a report for one that lies between two of them."""
    return _SAID_AS.get(name, name)


def unlocated(runner: Runner, run: Run) -> Finding:
    """Return the finding where no place could be made out: the first result that is wrong."""
    if run.error is not None:
        return _stopped(runner, run, run.error)
    message = f"{run.wrong[0].name} is wrong, and no single place was found from where everything is right"
    return _of_output(runner, run, run.wrong[0], Cause(), message)


def _stopped(runner: Runner, run: Run, error: BaseException) -> Finding:
    """Return the finding where their code failed, and no replaced value lets it go on."""
    spot = crash_spot(runner.program.path, error)
    line = spot[0] if spot else None
    lacking = [n for n in runner.order.needs if n not in node_set(run, runner)]
    quantity = next((node.name for node in (*crashed(runner, run), *lacking)), "")
    message = f"their code failed here on a valid problem: {type(error).__name__}: {error}"
    return Finding(
        quantity=said_as(quantity), name="", file=str(runner.program.path), line=line,
        source=source_of(runner, line or 0), equation=equation_of(runner, quantity),
        cause=Cause("failed", "pattern", message), message=message,
    )  # fmt: skip


def second_call(runner: Runner, run: Run) -> list[Finding]:
    """Return what is wrong when the backward is called a second time."""
    found = []
    for output, expected, off in map(runner.judged, run.outcome.again):
        if expected is None or off <= runner.tolerance:
            continue
        value = numbers(output.value)
        twice = value is not None and same(value, 2 * expected, runner.tolerance)
        said = "the second call adds to what the first one left: nothing sets it back to zero"
        cause = Cause("not_reset", "exact" if twice else "pattern", said)
        message = (
            f"{output.name} is right after one call of the backward, and wrong after two: {said}"
        )
        found.append(_of_output(runner, run, output, cause, message))
    return found


def _of_output(runner: Runner, run: Run, output: Output, cause: Cause, message: str) -> Finding:
    """Return the finding of a result that is wrong, at the last line that computed it."""
    value, (_, expected, _) = numbers(output.value), runner.judged(output)
    place = None if value is None else last_with(runner, run, value)
    line = place.line if place else None
    worst = None if value is None or expected is None else Worst.between(value, expected)
    return Finding(
        quantity=output.quantity, name=output.name, file=str(runner.program.path), line=line,
        source=source_of(runner, line or 0), shape=tuple(np.shape(output.value)),
        expected_shape=_expected_shape(runner, output.quantity),
        equation=equation_of(runner, output.quantity), worst=worst, cause=cause, message=message,
    )  # fmt: skip


def last_with(runner: Runner, run: Run, value: Array) -> Place | None:
    """The last place that computed a value."""
    for event in reversed(run.watcher.events):
        place = runner.places[event.place]
        computes = place.kind in ("updated", "assigned", "expression") and not is_load(place)
        if computes and np.array_equal(event.value, value):
            return place
    return None


def source_of(runner: Runner, line: int) -> str:
    """Return a line of their code; "" where there is none."""
    lines = runner.program.source.splitlines()
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _their_name(runner: Runner, place: Place, name: str) -> str:
    """What they call it: the target of the assignment, or the expression itself."""
    if passed := runner.code.passed_as.get(id(place.node)):
        return passed
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


def equation_of(runner: Runner, name: str) -> str:
    """Return the right equation of a quantity, as text."""
    table = runner.truth.table
    printer = Printer(table)
    for equation in table.equations:
        if equation.name == name and equation.direction in ("forward", "backward"):
            return "{} = {}".format(*printer.equation(equation))
    return ""


def _cause(
    runner: Runner,
    located: Located,
    fixed: Sequence[tuple[Runner, Run]],
    name: str,
    seen: Sequence[Witness],
) -> Cause:
    """Return why `name` is wrong, which was `seen` at the place; the first of `fixed` is on the problem
    that it was located on.
    """
    node, run = located.node, located.run
    if (of_loop := _of_the_loop(runner, located)) is not None:
        return of_loop
    if runner.forward_only:
        return name_overflow(runner, located)
    if name in _OF_LOGITS and not all(np.all(np.isfinite(w.theirs)) for w in seen):
        cause = name_cause(name, seen)
        return cause if cause.certainty == "exact" else name_overflow(runner, located)
    if node.t is None and node.name in runner.truth.starts:
        return _start(runner, located)
    failed = fails_at(runner, located)
    if failed and (absence := name_absence(runner, located)) is not None:
        return absence
    needed = run.error is not None and (failed or not seen)
    failure = name_failure(runner, located, name) if needed else Cause()
    if not seen or failure.certainty == "exact":
        return failure
    yours = _yours(*fixed[0], located)
    cause = name_cause(name, seen, yours)
    return failure if failed and cause.certainty == "none" else cause


def _yours(runner: Runner, fixed: Run, located: Located) -> Expression | None:
    """What they wrote, in the legend's words: at the first step of the place that can be read."""
    place = share_place(runner, located.repair)
    for t, event in events_at(runner, fixed, place, located.repair.turn):
        found = (
            translated(runner, fixed, runner.places[place], event) if t == located.node.t else None
        )
        if found is not None:
            return found
    return None


def _start(runner: Runner, located: Located) -> Cause:
    """What stands where a loop over time begins."""
    name = located.node.name
    if name.startswith("d"):
        message = "no step follows the last one, so what comes back from there starts at 0"
        return Cause("start", "exact", message)
    values = [event.value for _, event in events_at(runner, located.run, located.place.number)]
    if values and all(not np.any(value) for value in values):
        message = (
            f"zeros stand where the initial state {name} belongs, so what was passed in is not used"
        )
        return Cause("start_ignored", "exact", message)
    return Cause("start", "pattern", f"this is not the initial state {name} that was passed in")


def _of_the_loop(runner: Runner, located: Located) -> Cause | None:
    """What is wrong with a loop itself: how far it runs, what it hands on; None where it is in it."""
    if located.repair.form == "loop":
        return _left_out(runner, located)
    return _never_changed(located) if located.place.kind == "carried" else None


def _never_changed(located: Located) -> Cause:
    """What each step reads, and none hands on to the next."""
    name = ast.unparse(located.place.node)
    first = (
        "0" if located.node.name.startswith("d") else f"the initial state {located.node.name[0]}0"
    )
    message = f"the loop reads {name} and never assigns it, so that each step begins with {first}"
    return Cause("not_carried", "exact", message)


def _left_out(runner: Runner, located: Located) -> Cause:
    """A loop that ends too early or begins too late."""
    run = located.run
    missing = {
        t
        for entry in run.watcher.entries
        if entry.place == located.place.number and runner.timeline
        for t in runner.timeline.missing(entry)
    }
    last = runner.problem.T - 1
    steps = ", ".join(f"{t} (the last)" if t == last else f"{t} (the first)" if not t else str(t)
                      for t in sorted(missing or {located.node.t or 0}))  # fmt: skip
    message = f"the loop leaves out step {steps} of t = 0 … {last}, so nothing is computed there"
    return Cause("step_left_out", "exact", message)


def _shape(runner: Runner, located: Located) -> tuple[int, ...] | None:
    events = events_at(runner, located.run, located.repair.place, located.repair.turn)
    return tuple(events[0][1].value.shape) if events else None


def _worst(runner: Runner, located: Located) -> Worst | None:
    """The entry that is off most at the step of the finding."""
    node = located.node
    for t, event in events_at(runner, located.run, located.repair.place, located.repair.turn):
        of_all = located.repair.form == "all"
        if node.t is not None and t != node.t and not of_all:
            continue
        expected = runner.right_value(located.repair, t)
        if expected is None:
            continue
        if of_all:
            expected = runner.plan.layout.over_time(expected)
        expected = laid_out(np.asarray(expected, float), event.value.shape)
        return None if expected is None else Worst.between(event.value, expected)
    return None


def _message(quantity: str, t: int | None, name: str, cause: Cause) -> str:
    """What is said in a sentence or two: the cause, or that none was found."""
    if cause.message:
        return cause.message
    symbol = notation.entry(quantity).text + (f"⟨{t}⟩" if t is not None else "")
    called = name if name == symbol else f"{name} ({symbol})"
    return f"{called} is not what the equation gives, and no edit of it that was tried gives your numbers"
