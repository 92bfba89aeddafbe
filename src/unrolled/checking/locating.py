"""Finding the place of a mistake: the one where the right value makes right what follows.

The first quantities in the order of computation that the code nowhere computes are tried, each at the
places that could hold it. Nothing is inferred from what a line looks like: a place counts only if
running on from it with the right value gives more right results.
"""

import ast
import dataclasses
import math
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.checking import names
from unrolled.checking.calling.layouts import parts
from unrolled.checking.order import Order
from unrolled.checking.recognising import Node, laid_out
from unrolled.checking.running import Repair, Run, Runner, node_set, stacked_nodes
from unrolled.checking.watching import Event, Place

_FIRST_NAMES = 6  # and where only quantities on the way tell
_NAMES = 16  # quantities tried where nothing repairs everything


@dataclass(frozen=True)
class Located:
    """A mistake: the quantity that is wrong first, where, and the run in which it was seen; `order`
    says when in that run.
    """

    node: Node
    place: Place
    repair: Repair
    run: Run
    order: int


@dataclass(frozen=True)
class _Candidate:
    node: Node
    place: Place
    repair: Repair
    order: int
    named: bool
    elsewhere: bool


def locate(runner: Runner, repairs: Sequence[Repair]) -> Located | None:
    """Return where the first mistake is that `repairs` do not cover; None if no place repairs anything."""
    run = runner.run(repairs)
    search = _Search(runner, run, repairs)
    best = search.best(everywhere=False) or search.best(everywhere=True) or search.of_two()
    return None if best is None else Located(best.node, best.place, best.repair, run, best.order)


class _Search:
    """The search for a place on one run: likely places first, then `everywhere`."""

    def __init__(self, runner: Runner, run: Run, repairs: Sequence[Repair]):
        self.runner, self.run, self.repairs = runner, run, repairs
        self.timeline = runner.timeline
        self.failing = crash_places(runner, run)
        self.missing = missing_nodes(runner, run, repairs)
        self.tried: set[Repair] = set()

    def best(self, everywhere: bool) -> _Candidate | None:
        """Return the best repair; None if nothing helps."""
        best: tuple[tuple[Any, ...], _Candidate] | None = None
        before = _score(self.run)
        for tried, node in enumerate(self.missing, 1):
            for candidate in self._candidates(node, everywhere):
                likely = candidate.named or candidate.elsewhere
                if best is not None and candidate.order > best[1].order and not likely:
                    continue  # what comes later may be its consequence
                score = self._score(candidate)
                key = (score[0], *_preference(self.runner, candidate))
                if score > before and (best is None or key > best[0]):
                    best = key, candidate
            if best is not None and (best[0][0] or tried >= _NAMES):
                break
        return None if best is None else best[1]

    def of_two(self) -> _Candidate | None:
        """Return the first repair from which more becomes right on the way, if not yet a result: where
        nothing is right before a second mistake is repaired as well.
        """
        self.tried.clear()
        names = {repair.name for repair in self.repairs}
        missing = missing_nodes(self.runner, self.run, self.repairs, every=True)
        first = list(dict.fromkeys(node.name for node in missing))[:_FIRST_NAMES]
        for node in [node for node in missing if node.name in first]:
            before = self._known(names | {node.name}, ())
            for candidate in self._candidates(node, everywhere=False):
                self.runner.timeline = self.timeline
                if self._known(names | {node.name}, (candidate.repair,)) > before:
                    return candidate
        return None

    def _known(self, names: set[str], added: Sequence[Repair]) -> int:
        """How many quantities are right in a run, those aside that are put there."""
        run = self.runner.run([*self.repairs, *added])
        return sum(node.name not in names for node in node_set(run, self.runner))

    def _candidates(self, node: Node, everywhere: bool) -> Iterator[_Candidate]:
        for candidate in _candidates(self.runner, self.run, node, self.failing, everywhere):
            if candidate.repair not in self.tried:
                self.tried.add(candidate.repair)
                yield candidate

    def _score(self, candidate: _Candidate) -> tuple[bool, int, float]:
        self.runner.timeline = self.timeline
        return _score(self.runner.run([*self.repairs, candidate.repair], quiet=True))


def _score(run: Run) -> tuple[bool, int, float]:
    """Whether everything is right, how many results are, and how far the code gets where it fails."""
    return run.fine, run.right, math.inf if run.error is None else run.watcher.reached


def _preference(runner: Runner, candidate: _Candidate) -> tuple[int, ...]:
    """Among places that repair everything, or something: the one that is reached first, for what comes
    later may be its consequence; then what bears the quantity's name, and is right at other steps.
    """
    rank = runner.order.rank.get(candidate.node, -1)
    plain = candidate.repair.form == ""
    return -candidate.order, candidate.named, candidate.elsewhere, plain, -rank


def missing_nodes(
    runner: Runner, run: Run, repairs: Sequence[Repair], every: bool = False
) -> list[Node]:
    """Return the quantities that wrong results are made from and that were nowhere computed, first to
    last: of each name the first step, or `every` one, and none from which something right was made.
    What a repair put right says nothing of what it should have been made from.
    """
    order = runner.order
    known = _known_for_good(runner, run)
    stacked, given = stacked_nodes(run, runner), {repair.name for repair in repairs}
    implied = known | order.ancestors(known, given) | order.ancestors(stacked, given) - stacked
    wanted = order.ancestors(targets(runner, run))
    found: dict[str, Node] = {}
    for node in order.needs:
        if node not in wanted or node in implied or _is_zero(runner, node):
            continue
        if _can_be_formed(order, node, implied):
            key = node.name if node.t is not None else f"total {node.name}"
            found.setdefault(f"{key} {node.t}" if every else key, node)
    starts = [Node(f"{s}0") for s in sorted(runner.plan.given)] if wanted else []
    found = dict(
        sorted(found.items(), key=lambda pair: pair[1] in stacked and _summed(runner, pair[1].name))
    )
    later = [
        node for node in map(Node, sorted(_wrong_names(runner, run)))
        if node in order.needs and _can_be_formed(order, node, implied)
    ]  # fmt: skip
    return list(dict.fromkeys([*starts, *found.values(), *later]))


def _known_for_good(runner: Runner, run: Run) -> set[Node]:
    """Return what was computed, but for what a statement that should give it went on to change."""
    good = list(run.nodes)
    last: dict[tuple[int, Any], list[Node]] = {}
    for order in reversed(range(len(run.nodes))):
        event = run.watcher.events[order]
        number = root(runner, event.place)
        if number == event.place:
            last[number, event.rounds] = run.nodes[order]
        whole, place = last.get((number, event.rounds)), runner.places[number]
        if whole is not None and place.targets:
            good[order] = [
                node for node in run.nodes[order]
                if node in whole or not names_it(runner, place, node.name)
            ]  # fmt: skip
    return node_set(dataclasses.replace(run, nodes=good), runner)


def root(runner: Runner, number: int) -> int:
    """Return the place that is a whole statement's, around a place."""
    while (around := runner.places[number].parent) is not None:
        number = around
    return number


def _can_be_formed(order: Order, node: Node, implied: set[Node]) -> bool:
    """Whether a total is worth looking for: not while what it adds up is made from something wrong."""
    if node.t is not None or node.name == "loss":
        return True
    shares = [n for n in order.needs[node] if n not in implied]
    return all(n in implied or n not in order.needs for s in shares for n in order.needs[s])


def _is_zero(runner: Runner, node: Node) -> bool:
    """Whether a quantity is 0 by right, so that nothing tells whether it was computed."""
    return node.t is not None and not np.any(runner.truth.value(node.name, node.t))


def _summed(runner: Runner, name: str) -> bool:
    """Whether a quantity has a share at each step and a total: the gradient of a parameter."""
    return name in runner.truth.totals and name in runner.truth.steps[0] and name != "dx"


def _wrong_names(runner: Runner, run: Run) -> set[str]:
    return {part for output in run.wrong for part in parts(output.quantity, runner.problem.cell)}


def targets(runner: Runner, run: Run) -> set[Node]:
    """Return the quantities that should be right and are not; all of them where the code failed."""
    order = runner.order
    if run.error is not None:
        return set(order.needs)
    found = set()
    for name in _wrong_names(runner, run):
        steps = {Node(name, t) for t in range(runner.problem.T)}
        total = {Node(name)} if Node(name) in order.needs else steps
        found |= (total if name[:1] == "d" or name == "loss" else steps) & set(order.needs)
    return found or set(order.needs)


def crash_places(runner: Runner, run: Run) -> list[Place]:
    """Return the place where the code failed and those around it, innermost first."""
    error = run.error
    if error is None:
        return []
    spot = crash_spot(runner, error)
    if spot is None:
        return []
    inside = [p for p in runner.places if p.kind != "loop" and _spans(p.node, spot)]
    exact = [p for p in inside if p.kind != "updated"]
    if not exact:
        first, last = spot[0], spot[1]
        exact = [p for p in runner.places if p.kind == "assigned" and first <= p.line <= last]
    chain = sorted(exact, key=lambda p: -p.number)
    return chain


def crash_spot(runner: Runner, error: BaseException) -> tuple[int, int, int, int] | None:
    """Return line, last line, column and last column of what failed in their code."""
    frames = traceback.TracebackException.from_exception(error).stack
    for frame in reversed(frames):
        if frame.filename == str(runner.program.path) and frame.lineno is not None:
            last = frame.end_lineno or frame.lineno
            return frame.lineno, last, frame.colno or 0, frame.end_colno or 0
    return None


def _spans(node: ast.AST, spot: tuple[int, int, int, int]) -> bool:
    """Whether a node holds all of a spot."""
    line, last, column, end = spot
    start = (node.lineno, node.col_offset)  # type: ignore[attr-defined]
    stop = (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return start <= (line, column) and (last, end) <= stop


def _candidates(
    runner: Runner, run: Run, node: Node, failing: Sequence[Place], everywhere: bool
) -> Iterator[_Candidate]:
    """Yield what may hold a quantity: places of its size, or of its name, that are reached at its step."""
    seen: set[tuple[int, str]] = set()
    earliest = _earliest(runner, run, node)
    events = list(enumerate(run.watcher.events))
    begun = _statements(runner, run)
    for order, event in events if node.t is not None else reversed(events):  # a total comes last
        place = runner.places[event.place]
        if not _fits(runner, run, node, place, event) or node in run.nodes[order]:
            continue
        if everywhere or _likely(runner, run, node, order, earliest):
            for form in _forms(runner, node, place):
                if (place.number, form) not in seen:
                    seen.add((place.number, form))
                    yield _candidate(runner, run, node, place, form, begun[order])
    if node.t is None and node.name[:-1] in runner.truth.initial:
        return
    for place in failing:
        form = _forms(runner, node, place)[0]
        yield _candidate(runner, run, node, place, form, len(run.watcher.events), lazy=True)
    yield from _short_loops(runner, run, node)


def _statements(runner: Runner, run: Run) -> list[int]:
    """Return for each event the number of the first one of the same statement, in the same round."""
    first: dict[tuple[int, Any], int] = {}
    return [
        first.setdefault((root(runner, event.place), event.rounds), order)
        for order, event in enumerate(run.watcher.events)
    ]


def _short_loops(runner: Runner, run: Run, node: Node) -> Iterator[_Candidate]:
    """Yield the loops over time that leave a quantity's step out."""
    for number, entry in enumerate(run.watcher.entries):
        if runner.timeline and node.t in runner.timeline.missing(number, entry):
            repair = Repair(entry.place, node.name, "loop")
            yield _Candidate(node, runner.places[entry.place], repair, 0, True, True)


def _earliest(runner: Runner, run: Run, node: Node) -> int:
    """From which event on a quantity can be computed: when all that it is made from was there."""
    needs = set(runner.order.needs.get(node, []))
    first: dict[Node, int] = {}
    for order, nodes in enumerate(run.nodes):
        for found in nodes:
            if found in needs:
                first.setdefault(found, order)
    return max(first.values(), default=0)


def _likely(runner: Runner, run: Run, node: Node, order: int, earliest: int) -> bool:
    """Whether a place computes what is not known otherwise, or bears the quantity's name."""
    place = runner.places[run.watcher.events[order].place]
    if order < earliest:
        return False
    if names_it(runner, place, node.name):
        return True
    loads = isinstance(place.node, ast.Name | ast.Subscript | ast.Attribute)
    return not loads and not run.nodes[order]


def _candidate(
    runner: Runner, run: Run, node: Node, place: Place, form: str, order: int, lazy: bool = False
) -> _Candidate:
    elsewhere = any(
        found.name == node.name
        for event, nodes in zip(run.watcher.events, run.nodes, strict=True)
        if event.place == place.number
        for found in nodes
    )
    repair = Repair(place.number, node.name, form, lazy)
    return _Candidate(node, place, repair, order, names_it(runner, place, node.name), elsewhere)


def _forms(runner: Runner, node: Node, place: Place) -> list[str]:
    if node.t is None:
        return ["total"]
    if not _summed(runner, node.name):
        return [""]
    return {"updated": ["sum", "up"], "assigned": ["", "sum", "up"]}.get(place.kind, [""])


def _fits(runner: Runner, run: Run, node: Node, place: Place, event: Event) -> bool:
    if event.value is None or runner.timeline is None:
        return False
    t = runner.timeline.of(event.rounds, run.watcher.entries)
    if node.t is not None and t != node.t:
        return False
    if node.name[:-1] in runner.truth.initial and node.name.endswith("0"):
        expected = runner.truth.initial[node.name[:-1]]
        return t is None and laid_out(expected, event.value.shape) is not None
    expected = np.asarray(runner.truth.value(node.name, node.t))
    shaped = event.value.size == expected.size and laid_out(expected, event.value.shape) is not None
    return shaped or names_it(runner, place, node.name)


def names_it(runner: Runner, place: Place, name: str) -> bool:
    """Whether a place assigns to something that a person calls by that quantity's name."""
    return any(
        name in parts(meaning, runner.problem.cell)
        for target in place.targets
        for meaning in names.meanings(bare(target), runner.problem.cell)[:2]
    )


def bare(target: str) -> str:
    """Return the name in a target: A of `A[:, :, t]`, dW_aa of `self.cache['dW_aa']`."""
    node = ast.parse(target, mode="eval").body
    while True:
        if isinstance(node, ast.Subscript):
            key = node.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                return key.value
            node = node.value
        elif isinstance(node, ast.Attribute):
            return node.attr
        else:
            return node.id if isinstance(node, ast.Name) else target
