"""From a file to a report: what to run, on which problems, what is wrong first, where, and why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.checking import procedures
from unrolled.checking.binding import Binding
from unrolled.checking.bound import BoundPlan
from unrolled.checking.calling import KEPT, Plan, plans
from unrolled.checking.choosing import choices, runner_for
from unrolled.checking.conventions import Choice, agreed_on, countings, distinct_values
from unrolled.checking.describing.absent import undefined
from unrolled.checking.describing.findings import finding, second_call, unlocated
from unrolled.checking.describing.witnessing import witnesses
from unrolled.checking.locating.places import crash_spot
from unrolled.checking.locating.runs import Repair, Run, Runner, WatchedCode, node_set
from unrolled.checking.locating.search import Located, locate
from unrolled.checking.locating.timeline import Fit
from unrolled.checking.problems import FORWARD_ONLY
from unrolled.checking.procedures import Examined
from unrolled.checking.proving import LARGEST_ERROR, slope_error
from unrolled.checking.recognising import Node, same
from unrolled.checking.report import Finding, Report
from unrolled.checking.running.program import Program, execute, made_global, read
from unrolled.checking.running.surroundings import restored
from unrolled.checking.running.watching import EndlessLoopError, Watcher
from unrolled.checking.settling import Proof, proof, said_conventions, said_proofs, untested
from unrolled.checking.slips import with_slips, without_place
from unrolled.errors import UnrolledError

_MOST = 6  # findings of one file


def examine(path: str | Path, source: str | None = None, binding: Binding | None = None) -> Report:
    """Check every network in a file (or its text) and return the report.

    Raises UnrolledError where nothing in it can be run.
    """
    return examined(path, source, binding)[0]


def examined(
    path: str | Path, source: str | None = None, binding: Binding | None = None
) -> tuple[Report, "list[Check]"]:
    """Return the report as `examine` does, and the checks of all networks that it is of."""
    program = read(path, source)
    code = WatchedCode(program)
    try:
        checked, missed = _checked(code, binding)
    except UnrolledError as error:
        return _only_around(program, _around(code), error), []
    return _joined(program, checked, missed, _around(code)), [check for check, _ in checked]


def _checked(
    code: WatchedCode, binding: Binding | None
) -> "tuple[list[tuple[Check, Report]], list[str]]":
    """Return the check of every network in a file with its report, and what could not be judged.

    Raises UnrolledError where nothing in it can be run.
    """
    with restored():
        namespace = execute(code.program, code.plain, {})
    missed: list[str] = []
    bound: Sequence[Any] = [] if binding is None else [BoundPlan(binding)]
    chosen, others = choices(code, bound or plans(code.program, namespace, missed))
    missed += (
        f"{one.describe()}: nothing in it was recognised, so it was not judged" for one in others
    )
    reports: list[tuple[Check, Report]] = []
    for choice in chosen:
        try:
            check = Check(code, choice)
            reports.append((check, check.report()))
        except UnrolledError as error:
            if choice is chosen[-1] and not reports:
                raise
            missed.append(f"{choice.plan.describe()}: {error}")
    return reports, missed


def _only_around(program: Program, around: Examined, error: UnrolledError) -> Report:
    """Return the report on what stands around a network that could not be run, if something is wrong there.

    Raises the error that it could not be run for where nothing is.
    """
    if not any(one.severity == "mistake" for one in around.findings):
        raise error
    return Report(
        "wrong", "", tuple(around.findings), (), (str(error), *around.untestable),
        tuple(around.proved), file=str(program.path),
    )  # fmt: skip


def _around(code: WatchedCode) -> Examined:
    """What stands around the gradient."""
    program, tree = code.program, code.plain
    with restored(), np.errstate(all="ignore"):
        return procedures.examine(program.tree, program.source, lambda: execute(program, tree, {}))


def _joined(
    program: Program,
    checked: "Sequence[tuple[Check, Report]]",
    missed: Iterable[str],
    around: Examined,
) -> Report:
    """Return the report on all networks of a file and on what stands around them.

    Raises UnrolledError where nothing of them could be judged.
    """
    labels = _labels([check.choice.plan for check, _ in checked])
    reports = [report for _, report in checked]
    findings = [*_distinct(f for one in reports for f in one.findings), *around.findings]
    wrong = any(one.severity == "mistake" for one in findings)
    said = {
        field: [f"{label}{words}" for label, one in zip(labels, reports, strict=True)
                for words in getattr(one, field)]
        for field in ("conventions", "untestable", "proved")
    }  # fmt: skip
    if not wrong and not said["proved"]:
        raise UnrolledError(reports[0].untestable[-1])
    return Report(
        "wrong" if wrong else "right", ", ".join(dict.fromkeys(one.cell for one in reports)),
        tuple(findings), tuple(said["conventions"]),
        (*said["untestable"], *missed, *around.untestable), (*said["proved"], *around.proved),
        file=str(program.path),
    )  # fmt: skip


def _distinct(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings, what two networks share once."""
    seen = set()
    for one in findings:
        key = one.quantity, one.line
        if one.line is None or key not in seen:
            yield one
        seen.add(key)


def _labels(plans: Sequence[Plan]) -> list[str]:
    """Return for each network what stands before that which is said of it: nothing if it is the only
    one, its cell, or, where that is not enough, its class or backward.
    """
    if len(plans) == 1:
        return [""]
    cells = [plan.cell for plan in plans]
    return [
        f"{p.cell if cells.count(p.cell) == 1 else p.way.owner or p.way.backward.name}: "
        for p in plans
    ]


class Check:
    """The check of one file under one choice: what is located, problem by problem, and then `described`."""

    def __init__(self, code: WatchedCode, choice: Choice):
        self.code, self.program, self.choice = code, code.program, choice
        self.repairs: list[Repair] = []
        self.located: list[tuple[Runner, Located]] = []
        self.unlocated: list[Finding] = []
        self.loops: dict[int, Fit] = {}
        self.lacking: set[str] = set()
        self.undefined: set[str] = set()
        self.counted = choice.counted
        self.proofs: list[Proof] = []
        self.untestable: list[str] = []
        self.choices: list[str] = []
        self.described: list[tuple[Located, Finding]] = []

    def report(self) -> Report:
        """Run all problems and return what was found.

        Raises UnrolledError where it cannot be told whose fault a failure is.
        """
        self._raise_where_not_run()
        for kind in self._kinds():
            self._locate_on(self._runner(kind))
        self._padded()
        described = self._described()
        self._raise_where_unexplained([said for _, _, said in described])
        mended = self._with_slips(described)
        found = [*mended, *self.unlocated]
        whose = mended if len(mended) == len(described) else mended[:1] * len(described)
        self.described = [
            (located, said) for (_, located, _), said in zip(described, whose, strict=True)
        ]
        self.choices += self._changed()
        found += [] if self.located or self.unlocated else self._second_call()
        wrong = any(one.severity == "mistake" for one in found)
        if not wrong and not any(one.names for one in self.proofs):
            self.proofs.clear()
            self.untestable.append(
                f"{self.choice.plan.describe()}: this ran, and gave nothing whose meaning is known, "
                "so nothing could be judged; a binding can say what is what (docs/check.md)"
            )
        return Report(
            "wrong" if wrong else "right" if self.proofs else "could-not-run", self.choice.plan.cell,
            tuple(found), (*said_conventions(self.choice), *self.choices), tuple(self.untestable),
            said_proofs(self.proofs),
        )  # fmt: skip

    def _raise_where_not_run(self) -> None:
        """Raise UnrolledError where a name was left out, or sizes clash that are theirs and ours."""
        unclear, left_out = self.choice.plan.unclear, self.program.left_out
        error = self._first.error
        if isinstance(error, UnrolledError):
            raise error
        if isinstance(error, NameError) and error.name in left_out:
            raise UnrolledError(
                f"{self.program.path}, {left_out[error.name]}, so that {error.name} is not there"
            )
        if isinstance(error, NameError) and error.name in made_global([self.program.tree]):
            raise UnrolledError(
                f"{self.choice.plan.describe()}: {error.name} is made by another function, with global, "
                "that was not known to run before; a binding can say how this is run (docs/check.md)"
            )
        for kind in ("plain", "other sizes") if unclear else ():
            if self._runner(kind).run(quiet=True).error is not None:
                raise UnrolledError(
                    f"{self.program.path} cannot be run on fresh problems: {unclear}"
                )

    def _raise_where_unexplained(self, found: Sequence[Finding]) -> None:
        """Raise UnrolledError where the code never ran, and what was found does not tell why."""
        error, unsure = self._first.error, [one.cause.certainty == "none" for one in found]
        misused = isinstance(error, AttributeError | TypeError | KeyError)
        if error is not None and unsure[:1] == [True] and (misused or all(unsure)):
            self._raise_where_strange(self._first)
        if error is not None and not any(one.cause.certainty == "exact" for one in found[:1]):
            self._raise_where_no_array(error)

    def _raise_where_no_array(self, error: BaseException) -> None:
        """Raise UnrolledError where something that holds arrays was given in the place of one: by us, as
        far as can be told.
        """
        held = re.match(r"'(tuple|list|dict)' object has no attribute", str(error))
        objects = isinstance(error, TypeError) and "dtype('O')" in str(error)
        if objects or (isinstance(error, AttributeError) and held):
            raise UnrolledError(
                f"{self.choice.plan.describe()}: it may be meant to be called otherwise "
                f"({type(error).__name__}: {error}); a binding can say how (docs/check.md)"
            )

    def _raise_where_strange(self, run: Run) -> None:
        """Raise UnrolledError where nothing of a run is known, so that it may be called in a wrong way."""
        endless = isinstance(run.error, EndlessLoopError)
        known = self.choice.recognised or run.right or self.proofs
        if known or endless or undefined(run.error):
            return
        why = f" ({type(run.error).__name__}: {run.error})" if run.error is not None else ""
        raise UnrolledError(
            f"{self.choice.plan.describe()}: nothing in this is what a recurrent network computes, so "
            f"it may be meant to be called otherwise{why}; a binding can say how (docs/check.md)"
        )

    @cached_property
    def _first(self) -> Run:
        """The run of their code as it is, on the plain problem."""
        return self._runner("plain").run(quiet=True)

    def _runner(self, kind: str) -> Runner:
        """A runner that knows which loops run over time from those before it."""
        runner = runner_for(self.code, self.choice, kind)
        runner.loops = self.loops
        return runner

    def _kinds(self) -> Iterator[str]:
        plan = self.choice.plan
        yield from ("plain", "other sizes", "saturated")
        if not plan.one_column and "m" not in plan.fixed:
            yield "one sequence"
        if not plan.one_step and "T" not in plan.fixed:
            yield "one step"
        computed = plan.has_loss or any(o.quantity == "y_hat" for o in self._first.outcome.outputs)
        if computed and self.choice.conventions.output == "softmax":
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
            if self.unlocated:
                break  # where a search found nothing, another one takes as long
            located = locate(runner, self.repairs)
            if located is None:
                if not self.located and not found:
                    self._raise_where_strange(run)
                    self.unlocated.append(unlocated(runner, run))
                break
            lacks = _lacks(runner, located)
            if lacks & self.lacking:
                break  # what no step hands back was said to be missing where the next one needs it
            self.lacking |= lacks
            self.repairs.append(located.repair)
            self.loops |= runner.timeline.places if runner.timeline else {}
            if (name := undefined(run.error)) not in self.undefined:
                found.append(located)
            self.undefined |= {name} - {""}
            runner = self._recounted(runner)
        found = self._without_consequences(runner, found)
        found.sort(key=lambda one: one.order)
        self.located += [(runner, one) for one in found]

    def _without_consequences(self, runner: Runner, found: list[Located]) -> list[Located]:
        """Drop what is right by itself once all others are repaired: it only followed from them."""
        for one in found if len(found) > 1 and runner.run(self.repairs, quiet=True).fine else ():
            others = self._others(one)
            if runner.run(others, quiet=True).fine:
                self.repairs, found = others, [other for other in found if other is not one]
        return found

    def _recounted(self, runner: Runner) -> Runner:
        """Where a mistake in the forward pass hid how targets are counted: ask again once it is repaired."""
        plan = self.choice.plan
        if self.counted or not plan.has_loss or runner.problem.kind != "plain":
            return runner
        run = runner.run(self.repairs)
        values = distinct_values(run.watcher.events)
        known = set(countings(self.choice, runner.problem, values, run.outcome))
        self.counted = bool(known)
        agreed = agreed_on(known)
        if agreed in (None, self.choice.conventions.counting):
            return runner
        conventions = replace(self.choice.conventions, counting=agreed)
        self.choice = replace(self.choice, conventions=conventions)
        return self._runner("plain")

    def _prove(self, runner: Runner, run: Run) -> None:
        """Say what was right, once the reference has proved itself on the problem."""
        said = f"the loss takes {runner.epsilon}: where ŷ is nearly 0 it is smaller than −log ŷ"
        if runner.epsilon and said not in self.choices:
            self.choices.append(said)
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
        only_one = plan.one_column and plan.last_only  # the target that would be missing
        if not plan.has_loss or plan.one_step or only_one or self.unlocated:
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
        run = runner.run(again="backward")
        self.untestable += run.outcome.around
        if run.error is not None:
            why = f"{type(run.error).__name__}: {run.error}"
            self.untestable.append(f"the backward cannot be called twice on one forward: {why}")
            return []
        found = second_call(runner, run)[:1]
        if found and not second_call(runner, runner.run(again="all")):
            where = _in_line(self._line_written(KEPT))
            self.choices.append(
                f"what the forward keeps for the backward is changed in place{where}: a second call of "
                "the backward needs another forward"
            )
            return []
        return found

    def _changed(self) -> list[str]:
        """What their code changes in the arrays that it is given: no mistake, but a choice to know of."""
        return [
            f"{name} is changed in place{_in_line(line)}: whoever passes it in has other numbers afterwards"
            for name, line in self._changed_in.items()
        ]

    @cached_property
    def _changed_in(self) -> dict[str, int | None]:
        """The line in which each argument that they change is written to, if it is known."""
        return {name: self._line_written(name) for name in self._first.outcome.changed}

    def _line_written(self, name: str) -> int | None:
        """The line that fails once an argument cannot be written to; None if none does."""
        runner, watcher = self._runner("plain"), Watcher(quiet=True)
        error = self.code.run(runner.plan, watcher, runner.problem, locked=(name,)).error
        spot = crash_spot(self.program.path, error) if "read-only" in str(error) else None
        return spot[0] if spot else None

    def _with_slips(self, described: Sequence[tuple[str, Located, Finding]]) -> list[Finding]:
        """Return the findings, with the edits of their code that mend what no equation explains."""
        plain = [(located, said) for kind, located, said in described if kind == "plain"]
        others = [said for kind, _, said in described if kind != "plain"]
        if not plain and not self.unlocated:
            return others
        runners = [self._runner("plain"), self._runner("other sizes")]
        self.unlocated = [without_place(one, runners) for one in self.unlocated if not plain]
        written = next(filter(None, self._changed_in.values()), None)
        return [*with_slips(plain, runners, self.repairs, written), *others]

    def _described(self) -> list[tuple[str, Located, Finding]]:
        """Describe each mistake by what their code computes there when everything else is right."""
        runners = {runner.problem.kind for runner, _ in self.located}
        kinds = {*runners, *(["other sizes"] if "plain" in runners else [])}
        by_kind = {kind: self._runner(kind) for kind in kinds}
        found, places = list[tuple[str, Located, Finding]](), set[int]()
        for runner, located in self.located:
            if located.repair.turn and located.place.number in places:
                continue  # one line for several gates is one mistake
            places.add(located.place.number)
            if located.run.error is not None:  # it fails in the same place on right numbers
                located = replace(located, run=runner.run(self._others(located)))
            kind = runner.problem.kind
            others = [kind, *(["other sizes"] if kind == "plain" else [])]
            fixed = [(by_kind[other], self.fixed(by_kind[other], located)) for other in others]
            found.append((kind, located, finding(runner, located, fixed)))
        return found

    def fixed(self, runner: Runner, located: Located) -> Run:
        """Run with all repairs; but a total that is repaired in its loop is added to in the next round, so
        that one is left as it is.
        """
        run, mine = runner.run(self.repairs), located.repair
        if mine.form not in ("total", "sum", "up"):
            return run
        return runner.run(self._others(located))

    def _others(self, located: Located) -> list[Repair]:
        return [repair for repair in self.repairs if repair != located.repair]


def _in_line(line: int | None) -> str:
    return f" in line {line}" if line else ""


def _lacks(runner: Runner, located: Located) -> set[str]:
    """Return which gradients that a step should hand back were needed at a mistake, and computed nowhere
    or left out there.
    """
    back, node = {f"d{state}_prev" for state in runner.truth.initial}, located.node
    needed = {n for n in runner.order.needs.get(node, []) if n.name in back}
    known = node_set(located.run, runner) if needed else set()
    right, seen = runner.value(node.name, node.t), witnesses(runner, located.run, located)
    left_out = {
        need for need in needed for w in seen
        if w.t == node.t and same(w.theirs, np.asarray(right) - runner.value(need.name, need.t))
    }  # fmt: skip
    return {need.name for need in (needed - known) | left_out}


def _masks(runner: Runner, run: Run) -> bool:
    """Whether something in the code leaves out targets that are not there: only then dz_y is right where
    some columns of a step have none.
    """
    share = runner.truth.tape["omega"]
    mixed = [t for t in range(runner.problem.T) if not np.all(share[0, :, t])]
    known = node_set(run, runner)
    return any(Node("dz_y", t) in known for t in mixed)
