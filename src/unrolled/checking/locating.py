"""Finding the place of a mistake: the one where the right value makes right what follows.

The first quantities in the order of computation that the code nowhere computes are tried, each at the
places that could hold it. Nothing is inferred from what a line looks like: a place counts only if
running on from it with the right value gives more right results.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.checking.missing import is_summed, missing_nodes
from unrolled.checking.places import failing, is_load, names_it, root
from unrolled.checking.recognising import Node, laid_out
from unrolled.checking.running import Repair, Run, Runner, node_set
from unrolled.checking.watching import EndlessLoopError, Place

_FIRST_NAMES = 6  # and where only quantities on the way tell
_NAMES = 48  # quantities tried where nothing repairs everything


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
    """A repair to try. `order` is when its statement began in the run; `named` says that it bears the
    quantity's name, `elsewhere` that the place holds the quantity at other steps.
    """

    node: Node
    repair: Repair
    order: int
    named: bool
    elsewhere: bool


def locate(runner: Runner, repairs: Sequence[Repair]) -> Located | None:
    """Return where the first mistake is that `repairs` do not cover; None if no place repairs anything."""
    run = runner.run(repairs)
    if isinstance(run.error, EndlessLoopError):
        return None
    search = _Search(runner, run, repairs)
    best = search.best(everywhere=False) or search.best(everywhere=True) or search.of_two()
    if best is None:
        return None
    return Located(best.node, runner.places[best.repair.place], best.repair, run, best.order)


class _Search:
    """The search for a place on one run: likely places first, then `everywhere`."""

    def __init__(self, runner: Runner, run: Run, repairs: Sequence[Repair]):
        self.runner, self.run, self.repairs = runner, run, repairs
        self.timeline = runner.timeline
        self.events = run.watcher.events
        self.missing = missing_nodes(runner, run, repairs)
        self.tried: set[Repair] = set()

    def best(self, everywhere: bool) -> _Candidate | None:
        """Return the best repair; None if nothing helps."""
        best: tuple[tuple[Any, ...], _Candidate] | None = None
        before = _score(self.run)
        for tried, node in enumerate(self.missing, 1):
            for candidate in self._untried(node, everywhere):
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
        missing = missing_nodes(self.runner, self.run, self.repairs, every=True)
        first = list(dict.fromkeys(node.name for node in missing))[:_FIRST_NAMES]
        for node in [node for node in missing if node.name in first]:
            names = {repair.name for repair in self.repairs} | self._alike(node)
            before = self._known(names, ())
            for candidate in self._untried(node, everywhere=False):
                self.runner.timeline = self.timeline
                if self._known(names, (candidate.repair,)) > before:
                    return candidate
        return None

    def _alike(self, node: Node) -> set[str]:
        """The names of what has the same value: at the last step da is da_y."""
        value = np.asarray(
            self.runner.right_value(Repair(0, node.name, _total(node)), node.t), float
        )
        return {node.name, *(found.name for found in self.runner.recogniser.nodes(value))}

    def _known(self, names: set[str], added: Sequence[Repair]) -> int:
        """How many quantities are right in a run, those aside that are put there."""
        run = self.runner.run([*self.repairs, *added])
        return sum(node.name not in names for node in node_set(run, self.runner))

    def _score(self, candidate: _Candidate) -> tuple[bool, int, float]:
        """Score a repair; one from which something right becomes wrong, or is not there any more, is none."""
        self.runner.timeline = self.timeline
        run = self.runner.run([*self.repairs, candidate.repair], quiet=True)
        right, wrong = ({o.key for o in outputs} for outputs in (run.right, run.wrong))
        spoiled = {o.key for o in self.run.right} - right
        gone = {o.key for o in self.run.wrong} - right - wrong
        return (False, 0, 0.0) if spoiled or gone else _score(run)

    def _untried(self, node: Node, everywhere: bool) -> Iterator[_Candidate]:
        for candidate in self._candidates(node, everywhere):
            if candidate.repair not in self.tried:
                self.tried.add(candidate.repair)
                yield candidate

    def _candidates(self, node: Node, everywhere: bool) -> Iterator[_Candidate]:
        """Yield what may hold a quantity: places of its size, or of its name, that are reached at its
        step; of a total, from the last one on.
        """
        events = list(enumerate(self.events))
        earliest = self._earliest(node)
        for order, event in events if node.t is not None else reversed(events):
            place = self.runner.places[event.place]
            if not self._fits(node, place, order) or node in self.run.nodes[order]:
                continue
            if everywhere or self._likely(node, place, order, earliest):
                for form in self._forms(node, place):
                    yield self._candidate(node, place, form, self._begun[order])
        if node.t is None and node.name in self.runner.truth.starts:
            return
        for place in self._failing:
            for form in self._forms(node, place):
                yield self._candidate(node, place, form, len(events), lazy=True)
        yield from self._short_loops(node)

    def _candidate(
        self, node: Node, place: Place, form: str, order: int, lazy: bool = False
    ) -> _Candidate:
        elsewhere = node.name in self._held[place.number]
        repair = Repair(place.number, node.name, form, lazy)
        return _Candidate(node, repair, order, self._names(place, node), elsewhere)

    def _short_loops(self, node: Node) -> Iterator[_Candidate]:
        """Yield the loops over time that leave a quantity's step out."""
        for number, entry in enumerate(self.run.watcher.entries):
            if self.timeline and node.t in self.timeline.missing(number, entry):
                yield _Candidate(node, Repair(entry.place, node.name, "loop"), 0, True, True)

    def _fits(self, node: Node, place: Place, order: int) -> bool:
        value, t, truth = self.events[order].value, self._steps[order], self.runner.truth
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
        return names_it(place, node.name, self.runner.problem.cell)

    def _forms(self, node: Node, place: Place) -> list[str]:
        if node.t is None:
            return [_total(node)]
        if not is_summed(self.runner, node.name):
            return [""]
        return {"updated": ["sum", "up"], "assigned": ["", "sum", "up"]}.get(place.kind, [""])

    def _earliest(self, node: Node) -> int:
        """From which event on a quantity can be computed: when all that it is made from was there; what
        is given is, wherever it is read first.
        """
        computed = self.runner.order.needs
        needs = [need for need in computed.get(node, []) if need in computed]
        return max((self._first[need] for need in needs if need in self._first), default=0)

    @cached_property
    def _first(self) -> dict[Node, int]:
        """When each quantity was first there, at its own step: at another one it is a mistake of theirs."""
        first: dict[Node, int] = {}
        for order, nodes in enumerate(self.run.nodes):
            for node in nodes:
                if node.t is None or self._steps[order] in (node.t, None):
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
    def _steps(self) -> list[int | None]:
        """The step of each event."""
        return [self.runner.step(event, self.run.watcher) for event in self.events]

    @cached_property
    def _begun(self) -> list[int]:
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


def _total(node: Node) -> str:
    """The form of a repair of a quantity as it is."""
    return "total" if node.t is None else ""


def _score(run: Run) -> tuple[bool, int, float]:
    """Whether everything is right, how many results are, and how far the code gets where it fails."""
    return run.fine, len(run.right), math.inf if run.error is None else run.watcher.reached


def _preference(runner: Runner, candidate: _Candidate) -> tuple[int, ...]:
    """Among places that repair everything, or something: the one that is reached first, for what comes
    later may be its consequence; then what bears the quantity's name, and is right at other steps.
    """
    rank = runner.order.rank.get(candidate.node, -1)
    plain = candidate.repair.form == ""
    return -candidate.order, candidate.named, candidate.elsewhere, plain, -rank
