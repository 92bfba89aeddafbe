"""Which place of a person's code computes which quantity, told by a run in which everything is right; and
what stands there in another run.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.checking.calling import Output, Plan
from unrolled.checking.calling.layouts import parts, taken_apart
from unrolled.checking.describing.witnessing import to_legend
from unrolled.checking.locating.places import is_load, names_it
from unrolled.checking.locating.runs import Run, Runner
from unrolled.checking.recognising import Node, laid_out, numbers
from unrolled.checking.running.watching import Event
from unrolled.equations.table import Key

Array = Any
_Cut = tuple[int, int, int]  # an axis, and from where to where on it
Where = tuple[int, tuple[int, ...]]  # a place, and in which turn of loops that do not run over time


@dataclass(frozen=True)
class _Sight:
    """A quantity at a place: in its `nth` value at step `t` there; `whole` is an array of all
    steps, `cut` a part of what is stacked.
    """

    where: Where
    t: int | None
    nth: int
    order: int
    whole: bool = False
    cut: _Cut | None = None


class Sights:
    """Where each quantity is seen in a run. `keys` has the best place of each."""

    def __init__(self, runner: Runner, run: Run):
        self.runner, self.timeline = runner, runner.timeline
        self._found: dict[Key, list[_Sight]] = defaultdict(list)
        self._among: dict[str, int] = {}
        for key, sight in self._all(run):
            self._found[key].append(sight)
        self._back = {
            runner.places[sight.where[0]].function
            for (name, _), sights in self._found.items() if name[:1] == "d" for sight in sights
        }  # fmt: skip
        self._counts = Counter(
            (sight.where, key[0]) for key, sights in self._found.items()
            for sight in {s.where: s for s in sights}.values()
        )  # fmt: skip
        most: Counter[Where] = (
            Counter()
        )  # what a place is at most steps: at the last one, da is da_y as well
        for (where, _), count in self._counts.items():
            most[where] = max(most[where], count)
        self.keys = {
            key: max(likely, key=lambda sight: self._preference(key[0], sight))
            for key, sights in self._found.items()
            if (likely := [s for s in sights if self._counts[s.where, key[0]] == most[s.where]])
        }  # fmt: skip

    def _preference(self, name: str, sight: _Sight) -> tuple[Any, ...]:
        """Which of several places tells best what a quantity is there: one that computes it, not
        again in a function of the backward, at most steps, and bears its name; the first of these.
        """
        place, cell = self.runner.places[sight.where[0]], self.runner.problem.cell
        count = self._counts[sight.where, name]
        forward = place.function not in self._back
        return not is_load(place), forward, count, names_it(place, name, cell), -sight.order

    def lines(self) -> dict[str, int]:
        """Return for each quantity the line that computes it, be it among others."""
        best: dict[str, tuple[tuple[Any, ...], int]] = {}
        for (name, _), sight in self.keys.items():
            found = self._preference(name, sight), self.runner.places[sight.where[0]].line
            best[name] = max(best.get(name, found), found)
        return self._among | {name: line for name, (_, line) in best.items()}

    def seen_in(self, run: Run) -> dict[Key, Array]:
        """Return what stands in a run where each quantity belongs, in the legend's layout; what is not
        there, or in another shape, is left out.
        """
        events: dict[Where, dict[int | None, list[Event]]] = defaultdict(lambda: defaultdict(list))
        last: dict[Where, tuple[int | None, Event]] = {}
        for where, t, event in self._events(run):
            events[where][t].append(event)
            last[where] = t, event
        found = {}
        for key, sight in self.keys.items():
            there = events[sight.where][sight.t][sight.nth :]
            if (
                key[1] is None and sight.t is not None
            ):  # a total: what the last step leaves, if it came there
                t, left = last.get(sight.where, (None, None))
                there = [left] if left is not None and t == sight.t else []
            value = self._value(key, sight, there[0].value) if there else None
            if value is not None:
                found[key] = value
        return found

    def _value(self, key: Key, sight: _Sight, value: Array) -> Array | None:
        name, t = key
        expected = np.asarray(self.runner.value(name, t), float)
        if sight.whole:
            steps = _steps(self.runner, name, value)
            return None if steps is None or t is None else steps[t]
        if sight.cut is not None:
            axis, begin, end = sight.cut
            if axis >= value.ndim or value.shape[axis] < end:
                return None
            value = np.take(value, range(begin, end), axis=axis)
        turned = np.asarray(to_legend(self.runner, name, value, expected), float)
        if turned.ndim == 0:
            turned = turned.reshape(1, 1)
        return turned if turned.shape == np.atleast_2d(expected).shape else None

    def _events(self, run: Run) -> Iterator[tuple[Where, int | None, Event]]:
        """Yield the events of a run with place and step, as this run's timeline tells them."""
        self.runner.timeline = self.timeline
        for event in run.watcher.events:
            if event.value is not None and self.runner.places[event.place].kind != "carried":
                turn = self.runner.turn(event, run.watcher)
                yield (event.place, turn), self.runner.step(event, run.watcher), event

    def _all(self, run: Run) -> Iterator[tuple[Key, _Sight]]:
        last = {event.place: event for event in run.watcher.events}
        known = {id(e): nodes for e, nodes in zip(run.watcher.events, run.nodes, strict=True)}
        counts: Counter[tuple[Where, int | None]] = Counter()
        for order, (where, t, event) in enumerate(self._events(run)):
            nth = counts[where, t]
            counts[where, t] += 1
            nodes = known[id(event)]
            for node in nodes:
                if node.kind == "all":
                    for step in range(self.runner.problem.T):
                        yield (node.name, step), _Sight(where, t, nth, order, whole=True)
                elif node.kind == "" and (
                    (node.t is not None and t in (None, node.t))
                    or (node.t is None and (t is None or last[event.place] is event))
                ):
                    yield (node.name, node.t), _Sight(where, t, nth, order)
            for node, cut in () if nodes else self._stacked(event.value):
                self._among.setdefault(node.name, self.runner.places[event.place].line)
                if cut is not None and t in (None, node.t):
                    yield (node.name, node.t), _Sight(where, t, nth, order, cut=cut)

    def _stacked(self, value: Array) -> Iterator[tuple[Node, _Cut | None]]:
        """Yield what lies below or beside each other in a value: gates, [da_prev; dx]; and where, if it does
        along one axis.
        """
        sizes = self.runner.problem.sizes
        if value.ndim not in (1, 2, 3) or set(value.shape) <= {*sizes.values(), 1}:
            return
        nodes = self.runner.recogniser.blocks(value)
        alike = [sizes["n_a"]] * len(nodes)
        by_input = [sizes["n_x" if node.name[-1:] == "x" else "n_a"] for node in nodes]
        cuts = [*self._cuts(value, nodes, alike), *self._cuts(value, nodes, by_input)]
        yield from cuts or ((node, None) for node in nodes)

    def _cuts(
        self, value: Array, nodes: Sequence[Node], lengths: Sequence[int]
    ) -> Iterator[tuple[Node, _Cut]]:
        """Yield where each quantity lies in a value along an axis, if they have these lengths."""
        ends = list(itertools.accumulate(lengths))
        for axis, size in enumerate(value.shape):
            for node, begin, end in zip(
                nodes, [0, *ends], ends if [size] == ends[-1:] else [], strict=False
            ):
                part = np.take(value, range(begin, end), axis=axis)
                if node in self.runner.recogniser.nodes(part):
                    yield node, (axis, begin, end)


def _steps(runner: Runner, name: str, value: Array) -> list[Array] | None:
    """Return an array of all steps, step by step in the legend's layout; None if it is none."""
    expected = runner.all_steps(name)
    if expected is None or value.size != expected.size:
        return None
    turned = laid_out(value, expected.shape)
    if turned is None and isinstance(runner.plan, Plan):  # all targets below each other
        order = runner.plan.layout.over_time(np.arange(expected.size).reshape(expected.shape))
        turned = np.empty(expected.size)
        turned[np.ravel(order)] = np.ravel(value)  # from their order to (n, m, T)
        turned = turned.reshape(expected.shape)
    return None if turned is None else list(np.moveaxis(np.asarray(turned, float), -1, 0))


def split(runner: Runner, name: str, t: int | None, theirs: Array) -> Iterator[tuple[Key, Array]]:
    """Yield what a value of theirs holds, in the legend's layout: itself, or the gates in it; nothing if its
    shape is not that of the quantity.
    """
    right, cell = runner.value(name, t), runner.problem.cell
    theirs = np.asarray(theirs, float)
    if right is None or theirs.shape != np.shape(right):
        return
    held = {name: theirs}
    if parts(name, cell) != [name]:
        held = taken_apart(name, theirs, cell, runner.problem.sizes["n_a"], runner.reading)
    for part, array in held.items():
        yield (part, t), np.atleast_2d(array)


def of_outputs(runner: Runner, run: Run) -> tuple[dict[Key, Array], dict[Key, Array]]:
    """Return what comes out wrong of a run, in the legend's layout: of steps, and in all."""
    steps: dict[Key, Array] = {}
    totals: dict[Key, Array] = {}
    for output in run.wrong:
        value = numbers(output.value)
        if value is None:
            continue
        for key, array in _of_output(runner, output, value):
            (totals if key[1] is None else steps)[key] = array
    return steps, totals


def _of_output(runner: Runner, output: Output, value: Array) -> Iterator[tuple[Key, Array]]:
    name = output.quantity
    if name == "loss":
        yield from [(("loss", None), value.reshape(1, 1))] if value.size == 1 else []
    elif runner.value(name, None) is not None and name != "dx":
        yield from split(runner, name, None, _turned(runner, name, value))
    elif output.step is not None:
        yield from split(runner, name, output.step, _turned(runner, name, value))
    elif (steps := _over_time(runner, name, value)) is not None:
        yield from (((name, t), step) for t, step in enumerate(steps))


def _turned(runner: Runner, name: str, value: Array) -> Array:
    return runner.plan.to_legend(name, value)


def _over_time(runner: Runner, name: str, value: Array) -> list[Array] | None:
    T = runner.problem.T
    if name not in runner.truth.steps[0]:
        return None
    turned = _turned(runner, name, value)
    expected: Mapping[str, Any] = runner.truth.steps[0]
    if turned.ndim != 3 or turned.shape != (*expected[name].shape, T):
        return None
    return list(np.moveaxis(np.asarray(turned, float), -1, 0))
