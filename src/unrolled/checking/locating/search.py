"""Finding the place of a mistake: the one where the right value makes right what follows.

The first quantities in the order of computation that the code nowhere computes are tried, each at the
places that could hold it. Nothing is inferred from what a line looks like: a place counts only if
running on from it with the right value gives more right results.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unrolled.checking.locating.candidates import Candidate, Candidates, total_form
from unrolled.checking.locating.missing import missing_nodes
from unrolled.checking.locating.runs import Repair, Run, Runner, node_set
from unrolled.checking.recognising import Node, laid_out, same
from unrolled.checking.running.watching import EndlessLoopError, Place

_FIRST_NAMES = 6  # and where only quantities on the way tell
_NAMES = 48  # quantities tried where nothing repairs everything
_MOST_RUNS = 2000  # of a file; a mistake takes 20 to 300, and more time than this nobody waits


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
        self.candidates = Candidates(runner, run, self.missing)
        self.tried: set[Repair] = set()

    def best(self, everywhere: bool) -> Candidate | None:
        """Return the best repair; None if nothing helps."""
        best: tuple[tuple[Any, ...], Candidate] | None = None
        before = _score(self.run)
        nodes = (
            self.missing
            if everywhere
            else [*self.candidates.read, *self.missing, *self.candidates.blocks]
        )
        for tried, node in enumerate(nodes, 1 if everywhere else 1 - len(self.candidates.read)):
            for candidate in self._untried(node, everywhere):
                likely = candidate.named or candidate.elsewhere
                if best is not None and candidate.order > best[1].order and not likely:
                    continue  # what comes later may be its consequence
                score = self._score(candidate)
                if score <= before:
                    continue
                candidate = replace(candidate, order=self._first_wrong(candidate))
                key = (score[0], *_preference(self.runner, candidate))
                if best is None or key > best[0]:
                    best = key, candidate
            if best is not None and (best[0][0] or tried >= _NAMES):
                break
        return None if best is None else best[1]

    def of_two(self) -> Candidate | None:
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
            self.runner.right_value(Repair(0, node.name, total_form(node)), node.t), float
        )
        return {node.name, *(found.name for found in self.runner.recogniser.nodes(value))}

    def _known(self, names: set[str], added: Sequence[Repair]) -> int:
        """How many quantities are right in a run, those aside that are put there."""
        run = self.runner.run([*self.repairs, *added])
        return sum(node.name not in names for node in node_set(run, self.runner))

    def _score(self, candidate: Candidate) -> tuple[bool, int, float]:
        """Score a repair; one from which something right becomes wrong, or is not there any more, is none."""
        self.runner.timeline = self.timeline
        run = self.runner.run([*self.repairs, candidate.repair], quiet=True)
        right, wrong = ({o.key for o in outputs} for outputs in (run.right, run.wrong))
        spoiled = {o.key for o in self.run.right} - right
        gone = {o.key for o in self.run.wrong} - right - wrong
        return (False, 0, 0.0) if spoiled or gone else _score(run)

    def _first_wrong(self, candidate: Candidate) -> int:
        """When a place is wrong first, which may be at an earlier step than the one it was tried for; but
        not where it holds what has a meaning of its own.
        """
        repair, runner = candidate.repair, self.runner
        for order, event in enumerate(self.events):
            here = event.place == repair.place and event.value is not None and not repair.form
            if (
                not here
                or self.run.nodes[order]
                or repair.turn not in ((), runner.turn(event, self.run.watcher))
            ):
                continue
            expected = runner.right_value(repair, self.candidates.steps[order])
            turned = None if expected is None else laid_out(np.asarray(expected), event.value.shape)
            if turned is not None and not same(event.value, turned, runner.tolerance):
                return min(candidate.order, self.candidates.begun[order])
        return candidate.order

    def _untried(self, node: Node, everywhere: bool) -> Iterator[Candidate]:
        for candidate in self.candidates.of(node, everywhere):
            if self.runner.code.runs > _MOST_RUNS:
                return
            if candidate.repair not in self.tried:
                self.tried.add(candidate.repair)
                yield candidate


def _score(run: Run) -> tuple[bool, int, float]:
    """Whether everything is right, how many results are, and how far the code gets where it fails."""
    return run.fine, len(run.right), math.inf if run.error is None else run.watcher.reached


def _preference(runner: Runner, candidate: Candidate) -> tuple[int, ...]:
    """Among places that repair everything, or something: the one that is reached first, for what comes
    later may be its consequence; then what bears the quantity's name, and is right at other steps.
    """
    rank = runner.order.rank.get(candidate.node, -1)
    plain = candidate.repair.form == ""
    return -candidate.order, candidate.named, candidate.elsewhere, plain, -rank
