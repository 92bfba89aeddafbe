"""Runs of a person's code on one problem: watched, with right values in the place of some of theirs."""

import ast
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.checking.calling import Outcome, Output, Plan, Reading
from unrolled.checking.calling.layouts import assembled
from unrolled.checking.epsilon import kept_from_zero
from unrolled.checking.locating.order import Order
from unrolled.checking.locating.places import passed_as
from unrolled.checking.locating.timeline import Fit, Timeline
from unrolled.checking.problems import Problem, Truth
from unrolled.checking.recognising import TOLERANCE, Node, Recogniser, difference, laid_out, numbers
from unrolled.checking.running.program import Program, execute
from unrolled.checking.running.surroundings import restored
from unrolled.checking.running.watching import Event, Place, Replacement, Watcher, instrument

Array = Any

_ROUNDS = 3000  # that a repair may add to ten times those of the code as it is


@dataclass(frozen=True)
class Repair:
    """At `place`, go on with the right value of `name`.

    `form` is "" (of the step), "sum" or "up" (what is added up so far), "total" (whichever total
    theirs should be), "all" (all steps in one array) or "loop" (run over all steps). `lazy` says that what stands there fails. `turn`
    is in which rounds of loops that do not run over time: for one gate of several, say.
    """

    place: int
    name: str
    form: str = ""
    lazy: bool = False
    turn: tuple[int, ...] = ()


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
    def right(self) -> list[Output]:
        """The outputs that are right."""
        return [o for o, right, off in self.judged if right is not None and off <= self.tolerance]

    @cached_property
    def wrong(self) -> list[Output]:
        """The outputs that are not."""
        return [
            o for o, right, off in self.judged if right is not None and not off <= self.tolerance
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


class WatchedCode:
    """What of a program is executed, instrumented once for all the problems that it is run on.

    `lazy` are numbers of places that fail; the places and their numbers are the same whichever they are.
    """

    def __init__(self, program: Program, plain: ast.Module | None = None):
        self.program = program
        self.plain = program.definitions(program.tree) if plain is None else plain
        self._instrumented: dict[frozenset[int], tuple[ast.Module, list[Place]]] = {}
        self.runs = 0  # how often it was run: a search has an end

    def tree(self, lazy: frozenset[int] = frozenset()) -> ast.Module:
        """Return the instrumented tree."""
        return self._with(lazy)[0]

    @property
    def places(self) -> list[Place]:
        """Every place in the code."""
        return self._with(frozenset())[1]

    @cached_property
    def passed_as(self) -> dict[int, str]:
        """What each argument, by its id, is called in the function of theirs that it is passed to."""
        return passed_as(self.plain)

    def _with(self, lazy: frozenset[int]) -> tuple[ast.Module, list[Place]]:
        if lazy not in self._instrumented:
            self._instrumented[lazy] = instrument(self.plain, lazy)
        return self._instrumented[lazy]

    @cached_property
    def may_be_endless(self) -> bool:
        """Whether there is a loop that nothing but a condition ends."""
        return any(isinstance(node, ast.While) for node in ast.walk(self.plain))

    def to_run(self, watcher: Watcher, lazy: frozenset[int]) -> ast.Module:
        """Return the tree that is executed."""
        return self.tree(lazy)

    def run(
        self, plan: Plan, watcher: Watcher, problem: Problem, lazy: frozenset[int] = frozenset(),
        again: str = "", locked: Collection[str] = (),
    ) -> Outcome:  # fmt: skip
        """Run a plan on a fresh execution; what it changes around it is put back."""
        self.runs += 1
        with restored() as changed, np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            namespace = execute(self.program, self.to_run(watcher, lazy), watcher.hooks)
            outcome = plan.run(namespace, problem, again, locked)
        outcome.around += changed
        return outcome


class Runner:
    """Runs one plan on one problem; the truth is that of the problem as `reading` reads it."""

    def __init__(
        self, code: WatchedCode, plan: Plan, reading: Reading, problem: Problem, truth: Truth,
        tolerance: float = TOLERANCE, forward_only: bool = False,
    ):  # fmt: skip
        self.code, self.plan, self.problem, self.truth = code, plan, problem, truth
        self.program, self.places, self.reading = code.program, code.places, reading
        self.order = Order(truth.table, problem.T, truth.conventions.counting is not None)
        self.recogniser = Recogniser(truth, transposed=plan.transposed)
        self.tolerance, self.forward_only = tolerance, forward_only
        self.timeline: Timeline | None = None
        self.loops: dict[int, Fit] = {}
        self._most: int | None = (
            None  # rounds with repairs: one of them may let a loop go on and on
        )
        self.epsilon = ""  # how their loss keeps its logarithm from 0

    def run(self, repairs: Sequence[Repair] = (), quiet: bool = False, again: str = "") -> Run:
        """Run the plan with repairs; a quiet run only judges the outputs. `again` is as in Plan.run."""
        if repairs and self.timeline is None:
            self.run()  # tells which round is which step, as far as right values reach,
            self.run(repairs)  # and with them in place all the way
        watcher = Watcher(quiet=quiet, most=self._most if repairs else None)
        for repair in repairs:
            if repair.form == "loop":
                watcher.loops[repair.place] = self._all_steps(repair.place)
            else:
                here = [one for one in repairs if one.place == repair.place]
                watcher.replacements[repair.place] = self._replacement(here, watcher)
        lazy = frozenset(repair.place for repair in repairs if repair.lazy)
        outcome = self.code.run(self.plan, watcher, self.problem, lazy, again)
        self._most = self._most or 10 * watcher.ran + _ROUNDS
        with np.errstate(all="ignore"):
            judged = [self.judged(output) for output in outcome.outputs]
            if quiet:
                return Run(watcher, outcome, judged, self.tolerance, self.forward_only)
            nodes = [self.recogniser.nodes(event.value) for event in watcher.events]
        run = Run(watcher, outcome, judged, self.tolerance, self.forward_only, nodes)
        self.timeline = Timeline(watcher.entries, watcher.events, nodes, self.problem.T)
        return run

    def judged(self, output: Output) -> tuple[Output, Array | None, float]:
        """Return an output with what is expected (None: it is not judged), and by how much it is off,
        relative to that.
        """
        if self.forward_only and output.quantity[:1] == "d":
            return output, None, 0.0
        expected = self.plan.expected(output, self.truth, self.reading)
        if expected is None:
            return output, None, 0.0
        value, expected = numbers(output.value), np.asarray(expected, float)
        off = np.inf if value is None else difference(value, expected)
        if output.quantity == "loss" and value is not None and not off <= self.tolerance:
            return self._judged_with_epsilon(output, value, expected, off)
        if output.quantity == "z_y" and value is not None and self._is_shifted(value, expected):
            return output, value, 0.0
        return output, expected, off

    def _is_shifted(self, value: Array, expected: Array) -> bool:
        """Whether logits have the largest of each column taken off, which a softmax does not see."""
        if self.truth.conventions.output != "softmax" or value.shape != expected.shape:
            return False
        axes = [axis for axis, n in enumerate(value.shape) if n == self.problem.sizes["n_y"]]
        shifted = (expected - np.max(expected, axis=axis, keepdims=True) for axis in axes)
        return any(difference(value, right) <= self.tolerance for right in shifted)

    def _judged_with_epsilon(
        self, output: Output, value: Array, expected: Array, off: float
    ) -> tuple[Output, Array | None, float]:
        """Judge a loss that may keep its logarithm from 0."""
        for text, loss in self._losses_kept_from_zero:
            if difference(value, np.full(value.shape, loss)) <= self.tolerance:
                self.epsilon = text
                return output, np.full(value.shape, loss), 0.0
        return output, expected, off

    @cached_property
    def _losses_kept_from_zero(self) -> list[tuple[str, float]]:
        return list(kept_from_zero(self.program.tree, self.truth))

    def step(self, event: Event, watcher: Watcher) -> int | None:
        """Return the step at which something was seen; None outside of time, or where nothing tells."""
        if self.timeline is None:
            return None
        t = self.timeline.of(event.rounds, watcher.entries)
        last = t is None and self.plan.last_only and self.timeline.is_between(event)
        return self.problem.T - 1 if last else t

    def _all_steps(self, place: int) -> Callable[[Iterable[Any]], list[Any]]:
        def steps(iterable: Iterable[Any]) -> list[Any]:
            if isinstance(self.places[place].node, ast.While):
                return [None] * self.problem.T  # in place of its condition
            given = list(iterable)
            fit = self.timeline.places.get(place) if self.timeline else None
            fit = fit or self.loops.get(place)  # one that runs no round on this problem
            if fit is None or fit.counted:
                return given
            items = sorted(fit.item(t) for t in range(self.problem.T))
            return items[::-1] if len(given) > 1 and given[0] > given[-1] else items

        return steps

    def turn(self, event: Event, watcher: Watcher) -> tuple[int, ...]:
        """Return in which rounds of loops that do not run over time something was seen."""
        return () if self.timeline is None else self.timeline.turn(event, watcher.entries)

    def _replacement(self, here: Sequence[Repair], watcher: Watcher) -> Replacement:
        def right(event: Event) -> Array | None:
            turn = self.turn(event, watcher)
            repair = next((one for one in here if one.turn in ((), turn)), None)
            if repair is None or self._goes_on(repair, event, turn):
                return None
            expected = self.right_value(repair, self.step(event, watcher))
            theirs = None if repair.lazy else event.value  # what failed may have a wrong shape
            return None if expected is None else self._fitted(repair.name, expected, theirs)

        return right

    def _goes_on(self, repair: Repair, event: Event, turn: tuple[int, ...]) -> bool:
        """Whether a total is not there yet: the loop that forms it comes here again."""
        if repair.form != "total" or self.timeline is None:
            return False
        return not self.timeline.is_last(event, turn)

    def right_value(self, repair: Repair, t: int | None) -> Array | None:
        """Return what belongs at a repaired place at step t, in the legend's layout."""
        name = repair.name
        if repair.form == "total" and name in self.truth.starts:
            return self.truth.starts[name]
        if repair.form == "total":
            return self.value(name, None)
        if repair.form == "all":
            return self.all_steps(name)
        if t is None:
            return None
        steps = {"sum": range(t, self.problem.T), "up": range(t + 1)}.get(repair.form, [t])
        shares = [share for k in steps if (share := self.value(name, k)) is not None]
        return sum(shares) if shares else None

    def all_steps(self, name: str) -> Array | None:
        """Return a quantity at all steps, (n, m, T); None if there is none."""
        values = [v for t in range(self.problem.T) if (v := self.value(name, t)) is not None]
        return np.stack(values, -1) if len(values) == self.problem.T else None

    def value(self, name: str, t: int | None) -> Array | None:
        """Return a quantity, or gradients of weights that they keep in one array, at step t or (t None)
        in all, in the legend's layout; None if there is none.
        """
        values = self.truth.totals if t is None else self.truth.steps[t]
        try:
            return assembled(name, values, self.reading)
        except KeyError:
            return None

    def _fitted(self, name: str, expected: Array, theirs: Array | None) -> Array:
        """The right value in the shape that theirs has, or, if it has a wrong one, in that of its kind."""
        expected = np.asarray(expected, float)
        if theirs is not None and expected.ndim == 3 and theirs.size == expected.size:
            return np.reshape(self.plan.layout.over_time(expected), theirs.shape).copy()
        square = name[:2] == "dW" and expected.ndim == 2 and expected.shape[0] == expected.shape[1]
        if theirs is not None and not square:
            turned = laid_out(expected, theirs.shape)
            if turned is not None:
                return turned.copy() if turned.ndim else float(turned)
        if name == "loss":
            return float(expected.ravel()[0])
        return np.array(self.plan.to_theirs(name, expected))


def node_set(run: Run, runner: Runner) -> set[Node]:
    """Return every quantity that a run computed, each at its step: at another one it is of no use. A total
    is one where nothing is added to it any more; what a loop hands on is no more than was computed.
    """
    found: set[Node] = set()
    events = run.watcher.events
    last = {event.place: order for order, event in enumerate(events)}
    for order, (event, nodes) in enumerate(zip(events, run.nodes, strict=True)):
        if runner.places[event.place].kind == "carried":
            continue
        t = runner.step(event, run.watcher)
        for node in nodes:
            total = node.t is None and node.name[:1] == "d"
            if total and t is not None and last[event.place] != order:
                continue
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
