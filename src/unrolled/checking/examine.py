"""From a file to a report: what to run, on which problems, what is wrong first, where, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.checking import describing, procedures
from unrolled.checking.binding import Binding
from unrolled.checking.bound import BoundPlan
from unrolled.checking.calling import Plan, plans
from unrolled.checking.conventions import Choice, choose_reading, countings, distinct_values
from unrolled.checking.locating import Located, locate
from unrolled.checking.problems import FORWARD_ONLY, Problem, Truth, draw
from unrolled.checking.procedures import Examined
from unrolled.checking.program import Program, execute, read
from unrolled.checking.proving import LARGEST_ERROR, slope_error
from unrolled.checking.recognising import Node
from unrolled.checking.report import Finding, Report
from unrolled.checking.running import Repair, Run, Runner, node_set, run_plan
from unrolled.checking.settling import Proof, proof, said_conventions, said_proofs, untested
from unrolled.checking.surroundings import restored
from unrolled.checking.timeline import Fit
from unrolled.checking.watching import Watcher, instrument
from unrolled.errors import UnrolledError

_MOST = 6  # findings of one file


def examine(path: str | Path, source: str | None = None, binding: Binding | None = None) -> Report:
    """Check a file (or its text) and return the report.

    Raises UnrolledError where nothing in it can be run.
    """
    program = read(path, source)
    tree = program.definitions(program.tree)
    with restored():
        namespace = execute(program, tree, {})
    possible: Sequence[Any] = [] if binding is None else [BoundPlan(binding)]
    choice = _choose(program, possible or plans(program, namespace))
    return Check(program, choice).report()


def _choose(program: Program, possible: Sequence[Plan]) -> Choice:
    """Return how the file is read: the plan, reading and conventions that explain most of its values."""
    tree, _ = instrument(program.definitions(program.tree))
    best: tuple[tuple[Any, ...], Choice] | None = None
    for plan in possible:
        problem = _problem(plan, "plain")
        watcher = Watcher()
        outcome = run_plan(program, plan, tree, watcher, problem)
        choice = choose_reading(plan, problem, watcher.events, outcome)
        run = runner_for(program, choice, "plain").run()
        score = (
            run.fine and run.right > 0,
            choice.recognised,
            run.right,
            run.outcome.error is None,
        )
        if best is None or score > best[0]:
            best = score, choice
        if score[0]:
            break
    assert best is not None
    return _settled(program, best[1])


def _settled(program: Program, choice: Choice) -> Choice:
    """Return the choice; where the forward alone speaks for a variant of the cell, the one of both under
    which more is right after one repair: the usual cell if that does not tell.
    """
    if choice.doubtful is None:
        return choice
    both = choice, replace(choice, conventions=choice.doubtful)
    right = [_right_after_one(runner_for(program, one, "plain")) for one in both]
    return both[right.index(max(right))]


def _right_after_one(runner: Runner) -> tuple[bool, int]:
    located = locate(runner, [])
    run = runner.run([] if located is None else [located.repair])
    return run.fine, run.right


def _problem(plan: Plan, kind: str, seed: int = 0) -> Problem:
    return draw(kind, plan.cell, seed, plan.labels, plan.one_column, plan.one_step, plan.tied)


def runner_for(program: Program, choice: Choice, kind: str, seed: int = 0) -> Runner:
    """Return a runner on a problem of a kind, as the choice reads it."""
    plan, problem = choice.plan, _problem(choice.plan, kind, seed)
    truth = Truth(plan.problem(problem, choice.reading), choice.conventions)
    tolerance = 1e-5 if kind == "saturated" else 1e-7
    forward_only = kind in FORWARD_ONLY
    return Runner(program, plan, choice.reading, problem, truth, tolerance, forward_only)


class Check:
    """The check of one file under one choice: what is located, problem by problem, and then described."""

    def __init__(self, program: Program, choice: Choice):
        self.program, self.choice = program, choice
        self.repairs: list[Repair] = []
        self.located: list[tuple[Runner, Located]] = []
        self.unlocated: list[Finding] = []
        self.loops: dict[int, Fit] = {}
        self.counted = choice.counted
        self.proofs: list[Proof] = []
        self.untestable: list[str] = []

    def report(self) -> Report:
        """Run all problems and return what was found."""
        for kind in self._kinds():
            self._locate_on(self._runner(kind))
        self._padded()
        found = [self._described(runner, located) for runner, located in self.located]
        found += self.unlocated or ([] if self.located else self._second_call())
        around = self._around()
        found += around.findings
        wrong = any(finding.severity == "mistake" for finding in found)
        if not wrong and not any(one.names for one in self.proofs):
            raise UnrolledError(
                f"{self.choice.plan.describe()}: this ran, and gave nothing whose meaning is known, "
                "so nothing could be judged; a binding can say what is what (docs/check.md)"
            )
        return Report(
            "wrong" if wrong else "right", self.choice.plan.cell, tuple(found),
            said_conventions(self.choice), (*self.untestable, *around.untestable),
            (*said_proofs(self.proofs), *around.proved), file=str(self.program.path),
        )  # fmt: skip

    def _around(self) -> Examined:
        """What stands around the gradient."""
        tree = self.program.definitions(self.program.tree)
        with restored(), np.errstate(all="ignore"):
            return procedures.examine(
                self.program.tree, self.program.source, lambda: execute(self.program, tree, {})
            )

    def _runner(self, kind: str, seed: int = 0) -> Runner:
        """A runner that knows which loops run over time from those before it."""
        runner = runner_for(self.program, self.choice, kind, seed)
        runner.loops = self.loops
        return runner

    def _kinds(self) -> Iterator[str]:
        plan = self.choice.plan
        yield from ("plain", "other sizes", "saturated")
        if not plan.one_column:
            yield "one sequence"
        if not plan.one_step:
            yield "one step"
        if plan.has_loss and self.choice.conventions.output == "softmax":
            yield from FORWARD_ONLY

    def _locate_on(self, runner: Runner) -> None:
        """Find what is wrong on one problem, mistake by mistake, each with those before it repaired."""
        found: list[Located] = []
        while len(self.located) + len(found) < _MOST:
            run = runner.run(self.repairs)
            if run.fine:
                if not self.repairs:
                    self._prove(runner, run)
                break
            if self.located and runner.problem.kind not in ("plain", *FORWARD_ONLY):
                break  # what a repair does not reach there is no second mistake
            located = locate(runner, self.repairs)
            if located is None:
                if not self.located and not found and not self.unlocated:
                    self.unlocated.append(describing.unlocated(runner, run))
                break
            self.repairs.append(located.repair)
            self.loops |= runner.timeline.places if runner.timeline else {}
            found.append(located)
            runner = self._recounted(runner)
        found.sort(key=lambda one: one.order)
        self.located += [(runner, one) for one in found]

    def _recounted(self, runner: Runner) -> Runner:
        """Where a mistake in the forward pass hid how targets are counted: ask again once it is repaired."""
        plan = self.choice.plan
        if self.counted or not plan.has_loss or runner.problem.kind != "plain":
            return runner
        run = runner.run(self.repairs)
        values = distinct_values(run.watcher.events)
        known = set(countings(self.choice, runner.problem, values, run.outcome))
        self.counted = bool(known)
        if len(known) != 1 or known == {self.choice.conventions.counting}:
            return runner
        conventions = replace(self.choice.conventions, counting=known.pop())
        self.choice = replace(self.choice, conventions=conventions)
        return self._runner("plain")

    def _prove(self, runner: Runner, run: Run) -> None:
        """Say what was right, once the reference has proved itself on the problem."""
        error = slope_error(runner.truth)
        if error > LARGEST_ERROR:
            raise UnrolledError(
                f"the reference is off by {error:.0e} from complex step on {runner.problem.kind}: "
                "this is a bug of ours, please report it"
            )
        if runner.problem.kind == "plain":
            self.untestable += untested(self.choice, runner, run)
        self.proofs.append(proof(runner, run, error))

    def _padded(self) -> None:
        """Judge padding only where the code handles it at all."""
        plan = self.choice.plan
        if not plan.has_loss or plan.one_step or self.unlocated:
            return
        runner = self._runner("padded")
        run = runner.run(self.repairs)
        if run.fine and not self.repairs:
            self._prove(runner, run)
        elif not run.fine and _masks(runner, run):
            self._locate_on(runner)
        elif not run.fine:
            self.untestable.append(
                "padding: this code has no mask, so targets that are missing are not judged"
            )

    def _second_call(self) -> list[Finding]:
        """What a second call of the backward changes."""
        runner = self._runner("plain")
        run = runner.run(self.repairs, twice=True)
        for name in run.outcome.changed:
            self.untestable.append(f"{name}: this is changed in place while the code runs")
        found = [] if run.error is not None else describing.second_call(runner, run)
        return found[:1]

    def _described(self, runner: Runner, located: Located) -> Finding:
        """Describe a mistake by what their code computes there when everything else is right."""
        kinds = [runner.problem.kind, *(["other sizes"] if runner.problem.kind == "plain" else [])]
        mine = located.repair  # a total that is repaired in its loop is added to in the next round
        summed = mine.form in ("total", "sum", "up")
        rest = [r for r in self.repairs if r != mine] if summed else self.repairs
        fixed = []
        for kind in kinds:
            other = self._runner(kind)
            other.run(self.repairs)  # its loops are told from what is right in them
            fixed.append((other, other.run(rest)))
        return describing.finding(runner, located, fixed)


def _masks(runner: Runner, run: Run) -> bool:
    """Whether something in the code leaves out targets that are not there: only then dz_y is right where
    some columns of a step have none.
    """
    share = runner.truth.tape["omega"]
    mixed = [t for t in range(runner.problem.T) if not np.all(share[0, :, t])]
    known = node_set(run, runner)
    return any(Node("dz_y", t) in known for t in mixed)
