"""Runs of a person's code on one problem: watched, with right values in the place of some of theirs."""

import ast
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.checking.calling import Outcome, Output, Plan, Reading
from unrolled.checking.order import Order
from unrolled.checking.problems import Problem, Truth
from unrolled.checking.program import Program, execute
from unrolled.checking.recognising import TOLERANCE, Node, Recogniser, difference, laid_out
from unrolled.checking.surroundings import restored
from unrolled.checking.timeline import Fit, Timeline
from unrolled.checking.watching import Event, Place, Replacement, Watcher, instrument

Array = Any


@dataclass(frozen=True)
class Repair:
    """At `place`, go on with the right value of `name`.

    `form` is "" (of the step), "sum" or "up" (what is added up so far), "total" (whichever total
    theirs should be) or "loop" (run over all steps). `lazy` says that what stands there fails.
    """

    place: int
    name: str
    form: str = ""
    lazy: bool = False


@dataclass
class Run:
    """What one run left behind."""

    watcher: Watcher
    outcome: Outcome
    judged: list[tuple[Output, Array | None, float]]
    tolerance: float
    forward_only: bool = False
    nodes: list[list[Node]] = field(default_factory=list)

    @cached_property
    def right(self) -> int:
        """How many outputs are right."""
        return sum(
            off <= self.tolerance for _, expected, off in self.judged if expected is not None
        )

    @cached_property
    def wrong(self) -> list[Output]:
        """The outputs that are not."""
        return [
            o
            for o, expected, off in self.judged
            if expected is not None and not off <= self.tolerance
        ]

    @property
    def worst(self) -> float:
        """By how much right outputs are off at most, relative to their largest entry."""
        return max((off for _, _, off in self.judged if off <= self.tolerance), default=0.0)

    @property
    def error(self) -> BaseException | None:
        """What stopped the run, where it was to be judged."""
        passed = self.forward_only and self.outcome.stage == "backward"
        return None if passed else self.outcome.error

    @property
    def fine(self) -> bool:
        """Whether nothing failed and nothing is wrong."""
        return self.error is None and not self.wrong


def run_plan(
    program: Program,
    plan: Plan,
    tree: ast.Module,
    watcher: Watcher,
    problem: Problem,
    twice: bool = False,
) -> Outcome:
    """Run a plan on a fresh execution of an instrumented tree; what it changes around it is put back."""
    with restored() as changed, np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = plan.run(execute(program, tree, watcher.hooks), problem, twice)
    outcome.changed += changed
    return outcome


class Runner:
    """Runs one plan on one problem; the truth is that of the problem as `reading` reads it."""

    def __init__(
        self, program: Program, plan: Plan, reading: Reading, problem: Problem, truth: Truth,
        tolerance: float = TOLERANCE, forward_only: bool = False,
    ):  # fmt: skip
        self.program, self.plan, self.problem, self.truth = program, plan, problem, truth
        self.reading = reading
        self.order = Order(truth.table, problem.T, truth.conventions.counting is not None)
        self.recogniser = Recogniser(truth, transposed=not plan.columns)
        self.tolerance, self.forward_only = tolerance, forward_only
        self.timeline: Timeline | None = None
        self.loops: dict[int, Fit] = {}
        self._compiled: dict[frozenset[int], tuple[Any, list[Place]]] = {}

    def code(self, lazy: frozenset[int] = frozenset()) -> tuple[Any, list[Place]]:
        """Return the instrumented tree and its places."""
        if lazy not in self._compiled:
            self._compiled[lazy] = instrument(self.program.definitions(self.program.tree), lazy)
        return self._compiled[lazy]

    @property
    def places(self) -> list[Place]:
        """Every place in the code."""
        return self.code()[1]

    def run(self, repairs: Sequence[Repair] = (), quiet: bool = False, twice: bool = False) -> Run:
        """Run the plan with repairs; a quiet run only judges the outputs."""
        if repairs and self.timeline is None:
            self.run()  # tells which round is which step, as far as right values reach,
            self.run(repairs)  # and with them in place all the way
        watcher = Watcher(quiet=quiet)
        for repair in repairs:
            if repair.form == "loop":
                watcher.loops[repair.place] = self._all_steps(repair.place)
            else:
                watcher.replacements[repair.place] = self._replacement(repair, watcher)
        lazy = frozenset(repair.place for repair in repairs if repair.lazy)
        outcome = run_plan(
            self.program, self.plan, self.code(lazy)[0], watcher, self.problem, twice
        )
        with np.errstate(all="ignore"):
            judged = [self._judged(output) for output in outcome.outputs]
            if quiet:
                return Run(watcher, outcome, judged, self.tolerance, self.forward_only)
            nodes = [self.recogniser.nodes(event.value) for event in watcher.events]
        run = Run(watcher, outcome, judged, self.tolerance, self.forward_only, nodes)
        self.timeline = Timeline(watcher.entries, watcher.events, nodes, self.problem.T)
        return run

    def _judged(self, output: Output) -> tuple[Output, Array | None, float]:
        """An output with what is expected, and by how much it is off, relative to that."""
        if self.forward_only and output.quantity[:1] == "d":
            return output, None, 0.0
        expected = self.plan.expected(output, self.truth, self.reading)
        if expected is None:
            return output, None, 0.0
        try:
            value = np.asarray(output.value, float)
        except (TypeError, ValueError):
            return output, expected, np.inf
        return output, expected, difference(value, np.asarray(expected, float))

    def _all_steps(self, place: int) -> Callable[[list[Any]], list[Any]]:
        def steps(given: list[Any]) -> list[Any]:
            fit = self.timeline.places.get(place) if self.timeline else None
            fit = fit or self.loops.get(place)  # one that runs no round on this problem
            if fit is None or fit.counted:
                return given
            items = sorted(fit.item(t) for t in range(self.problem.T))
            return items[::-1] if len(given) > 1 and given[0] > given[-1] else items

        return steps

    def _replacement(self, repair: Repair, watcher: Watcher) -> Replacement:
        def right(event: Event) -> Array | None:
            t = self.timeline.of(event.rounds, watcher.entries) if self.timeline else None
            expected = self.right_value(repair, t)
            theirs = None if repair.lazy else event.value  # what failed may have a wrong shape
            return None if expected is None else self._fitted(repair.name, expected, theirs)

        return right

    def right_value(self, repair: Repair, t: int | None) -> Array | None:
        """Return what belongs at a repaired place at step t, in the legend's layout."""
        truth, name = self.truth, repair.name
        if name.endswith("0") and name[:-1] in truth.initial:
            return truth.initial[name[:-1]]
        if repair.form == "total" or (name in truth.totals and name not in truth.steps[0]):
            return truth.totals.get(name)
        if t is None or name not in truth.steps[t]:
            return None
        if repair.form == "sum":
            return sum(truth.steps[k][name] for k in range(t, self.problem.T))
        if repair.form == "up":
            return sum(truth.steps[k][name] for k in range(t + 1))
        return truth.steps[t][name]

    def _fitted(self, name: str, expected: Array, theirs: Array | None) -> Array:
        """The right value in the shape that theirs has, or, if it has a wrong one, in that of its kind."""
        expected = np.asarray(expected, float)
        square = name[:2] == "dW" and expected.ndim == 2 and expected.shape[0] == expected.shape[1]
        if theirs is not None and not square:
            turned = laid_out(expected, theirs.shape)
            if turned is not None:
                return turned.copy() if turned.ndim else float(turned)
        if name == "loss":
            return float(expected.ravel()[0])
        return np.array(self.plan.to_theirs(name, expected))


def node_set(run: Run, runner: Runner) -> set[Node]:
    """Return every quantity that a run computed, each at its step: at another one it is of no use."""
    found: set[Node] = set()
    for event, nodes in zip(run.watcher.events, run.nodes, strict=True):
        t = runner.timeline and runner.timeline.of(event.rounds, run.watcher.entries)
        for node in nodes:
            if t is None or node.kind or node.t in (t, None):
                found |= set(_meant(node, runner.problem.T))
    return found


def stacked_nodes(run: Run, runner: Runner) -> set[Node]:
    """Return what a run computed stacked: gates in one array, [da_prev; dx] in another."""
    recogniser, sizes = runner.recogniser, runner.problem.sizes
    single = {*sizes.values(), 1}
    found: set[Node] = set()
    for event, nodes in zip(run.watcher.events, run.nodes, strict=True):
        value = event.value
        if (
            not nodes
            and value is not None
            and value.ndim in (1, 2, 3)
            and not set(value.shape) <= single
        ):
            for node in recogniser.blocks(value):
                found |= set(_meant(node, runner.problem.T))
    return found


def _meant(node: Node, T: int) -> list[Node]:
    if node.kind in ("all", "with start"):
        return [Node(node.name, t) for t in range(T)]
    if (node.kind, node.t) in (("sum", 0), ("up", T - 1)):
        return [node, Node(node.name)]
    return [node]
