"""What a person's code computed at the place of a mistake, step by step, in the legend's layout."""

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from unrolled.checking.calling.layouts import parts, taken_apart
from unrolled.checking.locating.runs import Repair, Run, Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.recognising import laid_out, same
from unrolled.checking.replay import Witness
from unrolled.checking.running.watching import Event

Array = Any


def events_at(
    runner: Runner, run: Run, place: int, turn: tuple[int, ...] = ()
) -> list[tuple[int | None, Event]]:
    """Return what was seen at a place, with its step; only in that turn of other loops, if there is one."""
    return [
        (runner.step(event, run.watcher), event)
        for event in run.watcher.events
        if event.place == place
        and event.value is not None
        and turn in ((), runner.turn(event, run.watcher))
    ]


def share_place(runner: Runner, repair: Repair) -> int:
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


def witnesses(runner: Runner, run: Run, located: Located) -> list[Witness]:
    """What they computed there, at every step, in the legend's layout.

    Where sums are formed that is what a step added; if nothing is wrong with that, it is the total.
    """
    name, repair = located.node.name, located.repair
    if repair.form == "all":
        return _of_all(runner, run, located)
    if repair.form != "total":
        shares = _shares(runner, run, located)
        right = [same(w.theirs, np.asarray(runner.value(name, w.t))) for w in shares]
        if repair.form == "" or not all(right):
            return shares
    events = events_at(runner, run, repair.place, repair.turn)
    expected = np.asarray(runner.value(name, None))
    totals = _of_total(runner, name, events)
    return [Witness(runner.truth, None, to_legend(runner, name, e.value, expected)) for e in totals]


def _of_all(runner: Runner, run: Run, located: Located) -> list[Witness]:
    """What an array of all steps holds, step by step."""
    name, T = located.node.name, runner.problem.T
    expected, found = np.asarray(runner.all_steps(name)), []
    axes = runner.plan.layout.over_time(np.arange(expected.size).reshape(expected.shape))
    for _, event in events_at(runner, run, located.repair.place, located.repair.turn):
        if event.value.size == expected.size:
            theirs = np.empty(expected.size)
            theirs[np.ravel(axes)] = np.ravel(event.value)  # from their order to (n, m, T)
            steps = np.moveaxis(theirs.reshape(expected.shape), -1, 0)
            found += [Witness(runner.truth, t, steps[t]) for t in range(T)]
    return found


def _shares(runner: Runner, run: Run, located: Located) -> list[Witness]:
    """What each step computed at the place of a mistake, or added there."""
    name, repair = located.node.name, located.repair
    place, summed = share_place(runner, repair), repair.form in ("sum", "up")
    found, added = [], []
    for t, event in events_at(runner, run, place, repair.turn):
        if t is None:
            continue
        expected = np.asarray(runner.value(name, t))
        theirs = to_legend(runner, name, event.value, expected)
        found.append(Witness(runner.truth, t, theirs))
        before = runner.right_value(repair, t) if summed else None
        if before is not None and place == repair.place and theirs.shape == expected.shape:
            theirs = theirs - (before - expected)  # what this step added
        added.append(Witness(runner.truth, t, theirs))
    overwritten = all(same(w.theirs, np.asarray(runner.value(name, w.t))) for w in found)
    return found if overwritten else added


def _of_total(
    runner: Runner, name: str, events: Sequence[tuple[int | None, Event]]
) -> Sequence[Event]:
    """Which of the values at a place became the total: the last one in a loop over time; where several
    totals pass through one line, the one that resembles it most.
    """
    if not events or events[-1][0] is not None:
        return [event for _, event in events[-1:]]
    right = np.asarray(runner.value(name, None))
    expected = np.ravel(right)

    def resemblance(event: Event) -> float:
        value = np.ravel(to_legend(runner, name, event.value, right))
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
    turns = runner.plan.transposed if square else not runner.plan.columns
    return value.T if turns and value.ndim == 2 else value


def of_part(runner: Runner, name: str, seen: Sequence[Witness]) -> tuple[str, list[Witness]]:
    """Return the first that is wrong of the gradients that they keep in one array, and what was seen of it;
    what is kept by itself is returned as it came.
    """
    held = parts(name, runner.problem.cell)
    if held == [name]:
        return name, list(seen)
    whole = [w for w in seen if w.theirs.shape == np.asarray(runner.value(name, w.t)).shape]
    found: dict[str, list[Witness]] = {part: [] for part in held}
    for w in whole:
        n_a = w.truth.problem.sizes["n_a"]
        apart = taken_apart(name, w.theirs, runner.problem.cell, n_a, runner.reading)
        for part in held:
            found[part].append(Witness(w.truth, w.t, apart[part]))
    wrong = [
        part for part, own in found.items()
        if not all(same(w.theirs, np.asarray(w.truth.value(part, w.t))) for w in own)
    ]  # fmt: skip
    return (wrong or held)[0], found[(wrong or held)[0]]
