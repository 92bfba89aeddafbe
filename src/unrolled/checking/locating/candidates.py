"""Where a mistake may lie: the places of a run that could hold a quantity which is missing.

A place is a candidate by its size and its step, by what it computes, or by its name; whether it is
one is for the search to try (locating.py).
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.checking.locating.missing import is_summed
from unrolled.checking.locating.places import bare, failing, is_load, meant, names_it, root
from unrolled.checking.locating.runs import Repair, Run, Runner
from unrolled.checking.recognising import Node, laid_out, same
from unrolled.checking.running.watching import Place


@dataclass(frozen=True)
class Candidate:
    """A repair to try. `order` is when its statement began in the run; `named` says that it bears the
    quantity's name, `elsewhere` that the place holds the quantity at other steps.
    """

    node: Node
    repair: Repair
    order: int
    named: bool
    elsewhere: bool


class Candidates:
    """The candidates of one run, for the quantities that are `missing` from it."""

    def __init__(self, runner: Runner, run: Run, missing: Sequence[Node]):
        self.runner, self.run, self.missing = runner, run, missing
        self.timeline, self.events = runner.timeline, run.watcher.events

    def of(self, node: Node, everywhere: bool) -> Iterator[Candidate]:
        """Yield what may hold a quantity: places of its size, or of its name, that are reached at its
        step; of a total, from the last one on.
        """
        if node in self.read or node in self.blocks:
            yield from self._assigning(node)
            return
        events = list(enumerate(self.events))
        earliest = self._earliest(node)
        for order, event in events if node.t is not None else reversed(events):
            place = self.runner.places[event.place]
            if place.kind == "carried" or node in self.run.nodes[order]:
                continue
            if not self._fits(node, place, order):
                continue
            if everywhere or self._likely(node, place, order, earliest[self._pass_of[order]]):
                turn = self.runner.turn(event, self.run.watcher)
                for form in self._forms(node, place, order):
                    yield self._candidate(node, place, form, self.begun[order], turn=turn)
        if node.t is None and node.name in self.runner.truth.starts:
            return
        for place in self._failing if self._has_room(node) else ():
            for form in self._forms(node, place, None):
                yield self._candidate(node, place, form, self._began_to_fail(place), lazy=True)
        yield from self._short_loops(node)

    def _assigning(self, node: Node) -> Iterator[Candidate]:
        """Yield the places that assign what is to be a quantity, by its name, or pass it on by that, or of
        which it has the size that only several gates together have; and that have something else.
        """
        stacked, given = node.name.startswith("["), self._is_given(node)
        for order, event in enumerate(self.events):
            place = self.runner.places[event.place]
            assigns = place.kind == "assigned" and (
                stacked or (self._names(place, node) and (given or is_load(place)))
            )
            assigns = assigns or self._passes(place, node) or self._carries(place, node)
            if assigns and self._fits(node, place, order) and not self._is_there(node, order):
                turn = self.runner.turn(event, self.run.watcher)
                yield self._candidate(node, place, "", self.begun[order], turn=turn)

    def _passes(self, place: Place, node: Node) -> bool:
        """Whether a place reads what a function of theirs is to be given as a quantity."""
        passed = self.runner.code.passed_as.get(id(place.node))
        cell = self.runner.problem.cell
        return passed is not None and is_load(place) and node.name in meant(passed, cell)

    def _carries(self, place: Place, node: Node) -> bool:
        """Whether a place is what a loop over time should hand on from step to step, and never changes: it
        holds what the first step is given.
        """
        state = node.name.removeprefix("d").removesuffix("_prev").removesuffix("_next")
        handed = {f"{state}_prev": 0, f"d{state}_next": self.runner.problem.T - 1}
        if (
            place.kind != "carried"
            or node.name not in handed
            or state not in self.runner.truth.initial
        ):
            return False
        first = Node(node.name, handed[node.name])
        here = self._orders.get(place.number, [])
        return any(self.steps[k] == first.t and self._is_there(first, k) for k in here)

    @cached_property
    def _orders(self) -> dict[int, list[int]]:
        """The numbers of the events at each place."""
        orders: dict[int, list[int]] = defaultdict(list)
        for order, event in enumerate(self.events):
            orders[event.place].append(order)
        return orders

    def _is_given(self, node: Node) -> bool:
        """Whether a step is given a quantity, and computes it nowhere: inputs, and the states before it."""
        states = {f"{state}_prev" for state in self.runner.truth.initial}
        return node.name in {"x", "y", *states}

    def _is_there(self, node: Node, order: int) -> bool:
        """Whether a value is the quantity already."""
        value, expected = self.events[order].value, np.asarray(self.runner.value(node.name, node.t))
        turned = laid_out(expected, value.shape)
        return turned is not None and same(value, turned, self.runner.tolerance)

    @cached_property
    def blocks(self) -> list[Node]:
        """Several gates in one array, as far as the code has arrays of their size."""
        truth, reading = self.runner.truth, self.runner.reading
        one = np.size(truth.steps[0]["a"])
        sizes = {np.size(e.value) // one for e in self.events if np.size(e.value) % one == 0}
        runs = [
            reading.gates[k : k + size]
            for size in sorted(sizes & set(range(2, len(reading.gates) + 1)), reverse=True)
            for k in range(len(reading.gates) - size + 1)
        ]
        T = self.runner.problem.T
        first, last = {0, min(1, T - 1)}, {T - 1, max(T - 2, 0)}  # one may be right: there a = a0
        stacked = [
            ([form.format("c_tilde" if g == "c" and "z" not in form else g) for g in run], t)
            for run in runs
            for form, steps in (("z_{}", first), ("{}", first), ("dz_{}", last), ("d{}", last))
            for t in sorted(steps, key=lambda t: min(t, T - 1 - t))
        ]
        return [
            Node(f"[{' '.join(names)}]", t)
            for names, t in stacked
            if set(names) <= set(truth.steps[0])
        ]

    def _candidate(
        self, node: Node, place: Place, form: str, order: int, lazy: bool = False,
        turn: tuple[int, ...] = (),
    ) -> Candidate:  # fmt: skip
        elsewhere = node.name in self._held[place.number]
        repair = Repair(place.number, node.name, form, lazy, turn)
        return Candidate(node, repair, order, self._names(place, node), elsewhere)

    def _began_to_fail(self, place: Place) -> int:
        """When the statement that failed began: with its first event, if there is one."""
        places, order = self.runner.places, len(self.events) - 1
        if order < 0 or root(places, self.events[order].place) != root(places, place.number):
            return order + 1
        return self.begun[order]

    def _has_room(self, node: Node) -> bool:
        """Whether something failed that may be a quantity: a number, or a row of them, fits in everywhere."""
        if any(self._names(place, node) for place in self._failing):
            return True
        shape = np.shape(np.asarray(self.runner.value(node.name, node.t)))
        return bool(shape) and min(shape) > 1 and not self._is_kept_nowhere

    @cached_property
    def _is_kept_nowhere(self) -> bool:
        """Whether something was computed, and failed only where it was to be kept."""
        inside = {place.number for place in self._failing if place.kind == "assigned"}
        return bool(self.events) and self.events[-1].place in inside

    def _short_loops(self, node: Node) -> Iterator[Candidate]:
        """Yield the loops over time that leave a quantity's step out."""
        for entry in self.run.watcher.entries:
            fit = self.timeline.places.get(entry.place) if self.timeline else None
            is_while = isinstance(self.runner.places[entry.place].node, ast.While)
            if fit is None or (fit.counted and not is_while):
                continue  # what it runs over does not say which step is which
            if self.timeline and node.t in self.timeline.missing(entry):
                yield Candidate(node, Repair(entry.place, node.name, "loop"), 0, True, True)

    def _fits(self, node: Node, place: Place, order: int) -> bool:
        value, t, truth = self.events[order].value, self.steps[order], self.runner.truth
        if value is not None and self._is_of_all(node, order):
            return True
        if value is None or node.t not in (None, t):
            return False
        if node.t is None and node.name in truth.starts:
            start = laid_out(truth.starts[node.name], value.shape)
            return t is None and start is not None and not np.array_equal(start, value)
        expected = np.asarray(self.runner.value(node.name, node.t))
        shaped = value.size == expected.size and laid_out(expected, value.shape) is not None
        return shaped or self._names(place, node)

    def _likely(self, node: Node, place: Place, order: int, earliest: int) -> bool:
        """Whether a place computes what is not known otherwise, or what the quantity is made from, where a
        function or a factor may be missing; or bears the quantity's name.
        """
        if order < earliest:
            return False
        computed = set(self.run.nodes[order]) <= set(self.runner.order.needs.get(node, []))
        return self._names(place, node) or (computed and not is_load(place))

    def _names(self, place: Place, node: Node) -> bool:
        name, cell = node.name, self.runner.problem.cell
        carried = name[:1] == "d" and name.endswith(
            "_prev"
        )  # people hand `dc` itself to the step before
        return (
            names_it(place, name, cell)
            or self._is_entry_of(place, name)
            or (carried and names_it(place, name.removesuffix("_prev"), cell))
        )

    def _is_entry_of(self, place: Place, name: str) -> bool:
        """Whether a place assigns to what has a weight's own name among the gradients: `grads["W"]`, `g.W`."""
        weights = self.runner.plan.weights
        words = (bare(target) for target in place.targets if not target.isidentifier())
        return any(f"d{weights[word]}" == name for word in words if word in weights)

    def _is_of_all(self, node: Node, order: int) -> bool:
        """Whether a value may hold a quantity at all steps."""
        value, T = self.events[order].value, self.runner.problem.T
        if node.t is None or T == 1 or is_summed(self.runner, node.name) or value.ndim < 2:
            return False
        one = self.runner.value(node.name, node.t)
        return one is not None and bool(value.size == T * one.size)

    def _forms(self, node: Node, place: Place, order: int | None) -> list[str]:
        if order is not None and self._is_of_all(node, order):
            return ["all"]
        summed = is_summed(self.runner, node.name)
        ends = summed and order is not None and self._ends_with_the_step(place, order)
        if node.t is None:
            return [] if ends else [total_form(node)]
        if ends or not summed:
            return [""]
        return {"updated": ["sum", "up"], "assigned": ["", "sum", "up"]}.get(place.kind, [""])

    def _ends_with_the_step(self, place: Place, order: int) -> bool:
        """Whether nothing can be added up in what is assigned: plain names of a function that a loop over
        time calls are gone before the next step.
        """
        loops = [self.run.watcher.entries[entry].place for entry, _ in self.events[order].rounds]
        inside = {self.runner.places[loop].function for loop in loops}
        plain = place.targets and all(map(str.isidentifier, place.targets))
        return bool(plain and loops and place.function not in inside)

    def _earliest(self, node: Node) -> dict[int, int]:
        """From which event on a quantity can be computed, by the pass over time of the place: when all that
        it is made from was there; what is given is, wherever it is read first. What is only there in a
        later pass, as tanh(c) in a backward that works it out anew, was not waited for.
        """
        computed = self.runner.order.needs
        needs = [need for need in computed.get(node, []) if need in computed]
        first = [self._first[need] for need in needs if need in self._first]
        return {
            p: max((order for order in first if not 0 <= p < self._pass_of[order]), default=0)
            for p in {*self._pass_of}
        }

    @cached_property
    def _pass_of(self) -> list[int]:
        """For each event the outermost entry of a loop over time around it; -1 where there is none."""
        fits = self.timeline.fits if self.timeline else {}
        return [
            next((number for number, _ in event.rounds if number in fits), -1)
            for event in self.events
        ]

    @cached_property
    def _first(self) -> dict[Node, int]:
        """When each quantity was first there, at its own step: at another one it is a mistake of theirs."""
        first: dict[Node, int] = {}
        for order, nodes in enumerate(self.run.nodes):
            for node in nodes:
                if node.t is None or self.steps[order] in (node.t, None):
                    first.setdefault(node, order)
        return first

    @cached_property
    def _held(self) -> dict[int, set[str]]:
        """The quantities that were recognised at each place."""
        held: dict[int, set[str]] = defaultdict(set)
        for event, nodes in zip(self.events, self.run.nodes, strict=True):
            held[event.place].update(node.name for node in nodes)
        return held

    @cached_property
    def steps(self) -> list[int | None]:
        """The step of each event."""
        return [self.runner.step(event, self.run.watcher) for event in self.events]

    @cached_property
    def begun(self) -> list[int]:
        """For each event the number of the first one of the same statement, in the same round."""
        first: dict[tuple[int, Any], int] = {}
        return [
            first.setdefault((root(self.runner.places, event.place), event.rounds), order)
            for order, event in enumerate(self.events)
        ]

    @cached_property
    def _failing(self) -> list[Place]:
        """The place where the code failed and those around it, innermost first."""
        return failing(self.runner.places, self.runner.program.path, self.run.error)

    @cached_property
    def read(self) -> list[Node]:
        """What the first missing quantities are made from, as it is read in their step: `a_prev = A[t]`."""
        steps = {node.name: node.t for node in self.missing if node.t is not None}
        reads = [
            Node(name, steps[equation.name])
            for equation in self.runner.truth.table.equations
            if equation.name in steps
            for name in equation.expression.names
            if name in self.runner.truth.steps[0]
        ]
        missing = {*self.missing}
        computed = {node.name for node in missing}  # which is looked for where it is computed
        apart = [
            n for n in dict.fromkeys(reads)
            if n.name not in computed and _at_its_step(n) not in missing
        ]  # fmt: skip
        return [*apart, *self._joined]

    @property
    def _joined(self) -> list[Node]:
        """[a; x] in one array, as far as the code has arrays of its size."""
        truth, problem = self.runner.truth, self.runner.problem
        states = [n for n in ("a_prev", "a_reset") if n in truth.steps[0]]
        size = np.size(truth.steps[0]["a"]) + np.size(truth.steps[0]["x"])
        if all(np.size(event.value) != size for event in self.events):
            return []
        order = -1 if self.runner.reading.x_first else 1
        names = [f"[{' '.join([state, 'x'][::order])}]" for state in states]
        return [Node(name, t) for name in names for t in range(min(2, problem.T))]


def _at_its_step(node: Node) -> Node:
    """What is read from a neighbouring step, as it was computed there: a_prev⟨t⟩ is a⟨t−1⟩."""
    name, t = node.name, node.t or 0
    if name.startswith("d") and name.endswith("_next"):
        return Node(f"{name.removesuffix('_next')}_prev", t + 1)
    return Node(name.removesuffix("_prev"), t - 1) if name[-5:] == "_prev" else node


def total_form(node: Node) -> str:
    """The form of a repair of a quantity as it is."""
    return "total" if node.t is None else ""
