"""What is shown of a person's code beside the right calculation: its numbers on a small problem, the line
that computes each quantity, and where it goes wrong. Once a check is done, in the process that it ran in.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unrolled.checking.calling import problem_for
from unrolled.checking.calling.layouts import parts
from unrolled.checking.choosing import runner_on
from unrolled.checking.conventions import DEFAULT
from unrolled.checking.describing.findings import last_with, source_of
from unrolled.checking.describing.witnessing import share_place, witnesses
from unrolled.checking.examine import Check
from unrolled.checking.locating.runs import Run, Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.problems import Conventions, Problem, Truth
from unrolled.checking.recognising import numbers, same
from unrolled.checking.report import Finding
from unrolled.checking.sighting import Sights, of_outputs, split
from unrolled.checking.walk import Walk
from unrolled.equations.evaluation import moments
from unrolled.equations.table import Key, Table

Array = Any
_FROM_ABOVE = (
    "The program has no loss: it is handed ∂loss/∂a⟨t⟩ from above. Here that is da_y⟨t⟩ of the output layer and "
    "the loss that are shown."
)
_LEARNED = "The initial state {0}0 is learned, one for all sequences: its gradient is d{0}0, summed over them."
_OTHER_NUMBERS = (
    "These numbers are those of the problem “{}”, for it is there that the mistake shows."
)


def collect(checks: Sequence[Check], findings: Sequence[Finding]) -> Walk | None:
    """Return what is shown of the first network in which something is wrong, or of the first; None where
    there is none. `findings` are those of the whole file: what has no place in a walk is noted.
    """
    if not checks:
        return None
    wrong = [check for check in checks if check.located or check.unlocated]
    check = (wrong or list(checks))[0]
    own = [*(finding for _, finding in check.described), *check.unlocated]
    with np.errstate(all="ignore"):
        walk = _Collector(check).walk()
    others = tuple(_said(finding) for finding in findings if finding not in own)
    return dataclasses.replace(walk, notes=(*walk.notes, *others))


class _Collector:
    """Collects from one check. `raw` is the run of their code as it is, `fixed` that with right values in
    the place of each mistake, which tells what is where.
    """

    def __init__(self, check: Check):
        self.check = check
        self.kind = check.located[0][0].problem.kind if check.located else "plain"
        self.runner = self._runner(small=True)
        self.raw, self.fixed = self._runs()
        if not self._shows():
            self.runner = self._runner(small=False)
            self.raw, self.fixed = self._runs()
        self.order = {m.key: k for k, m in enumerate(moments(self._table, self.runner.problem.T))}

    @property
    def _table(self) -> Table:
        return self.runner.truth.table

    def _runner(self, small: bool) -> Runner:
        """A runner on a problem of the kind on which the first mistake was found, with a loss."""
        choice = self.check.choice
        problem = problem_for(choice.plan, self.kind, small)
        if choice.conventions.counting is None:
            read = choice.plan.problem(problem, choice.reading)
            truth = Truth(read, _with_loss(choice.conventions))
            problem = dataclasses.replace(problem, dA=np.array(truth.tape["da_y"]))
        return self._runner_of(problem)

    def _runs(self) -> tuple[Run, Run]:
        raw = self.runner.run()
        return raw, self.runner.run(self.check.repairs) if self.check.repairs else raw

    def _shows(self) -> bool:
        """Whether a problem shows what was found: wrong as it is, and right with all repairs, if it was
        where it was found.
        """
        if not self.check.located:
            return self.raw.fine == (not self.check.unlocated)
        found_on = self.check.located[0][0]
        repaired = self.fixed.fine or not found_on.run(self.check.repairs, quiet=True).fine
        return not self.raw.fine and repaired

    def walk(self) -> Walk:
        """Return all that is to be shown."""
        sights = Sights(self.runner, self.fixed)
        steps, totals = of_outputs(self.runner, self.raw)
        seen = {**steps, **sights.seen_in(self.raw), **totals}
        equations = {name for name, _ in self.order}
        lines = {
            name: (line, source_of(self.runner, line))
            for name, line in {**self._lines_of_outputs(), **sights.lines()}.items()
            if name in equations
        }  # fmt: skip
        wrong, said, notes = dict[Key, None](), dict[str, str](), list[str]()
        placed = set(sights.keys)
        for located, finding in self.check.described:
            seen |= self._seen_at(located)
            keys = self._mistaken(located, finding, seen)
            notes += [] if keys else [_elsewhere(finding)]
            self._tell(keys, finding, lines, said)
            wrong |= dict.fromkeys(keys)
        for finding in self.check.unlocated:
            keys = self._first_wrong(finding, seen)
            self._tell(keys, finding, lines, said)
            wrong |= dict.fromkeys(keys)
            notes += [] if keys else [_elsewhere(finding)]
        known = {key: value for key, value in seen.items() if key in self.order}
        lacking = {key for key in {*placed, *wrong} if key in self.order and key not in known}
        conventions = self.check.choice.conventions
        return Walk(
            self.runner.truth.problem, _with_loss(conventions), known, frozenset(lacking),
            tuple(sorted(wrong, key=self.order.__getitem__)), lines, said,
            (*self._noted(conventions), *notes),
        )  # fmt: skip

    def _lines_of_outputs(self) -> dict[str, int]:
        """For each gradient that comes back, alone or with others in an array, the line that had it last."""
        found: dict[str, int] = {}
        for output in self.fixed.right:
            value = numbers(output.value) if output.quantity[:1] == "d" else None
            place = None if value is None else last_with(self.runner, self.fixed, value)
            names = parts(output.quantity, self.runner.problem.cell) if place else []
            found |= {name: place.line for name in names if place}
        return found

    def _noted(self, conventions: Conventions) -> Iterator[str]:
        if conventions.counting is None:
            yield _FROM_ABOVE
        yield from (_LEARNED.format(state) for state in sorted(self.runner.problem.shared))
        if self.kind != "plain":
            yield _OTHER_NUMBERS.format(self.kind)

    def _tell(
        self, keys: Sequence[Key], finding: Finding, lines: dict[str, tuple[int, str]],
        said: dict[str, str],
    ) -> None:  # fmt: skip
        """Say at the quantities of a mistake what was found, and in which line."""
        for name, _ in keys:
            known = said.get(name, "")
            if finding.message not in known:  # a quantity may be wrong in two ways
                said[name] = f"{known} {finding.message}".strip()
            if finding.line is not None:
                lines[name] = finding.line, finding.source

    def _seen_at(self, located: Located) -> dict[Key, Array]:
        """What their code as it is has at the place of a mistake. Sums that are formed in a statement that
        does not tell what it adds say nothing of one step.
        """
        repair = located.repair
        summed = repair.form in ("sum", "up") and share_place(self.runner, repair) == repair.place
        found: dict[Key, Array] = {}
        for witness in witnesses(self.runner, self.raw, located):
            if witness.t is None or not summed:
                found |= dict(split(self.runner, located.node.name, witness.t, witness.theirs))
        return {key: value for key, value in found.items() if key in self.order}

    def _mistaken(self, located: Located, finding: Finding, seen: dict[Key, Array]) -> list[Key]:
        """Which numbers are a mistake: wrong though all that they are made from is right."""
        found = list(self._wrong_at(located))
        if located.node.name == "log_y_hat":  # of which a report says what is wrong: ŷ, or the loss
            found = [(finding.quantity, t) for _, t in found]
        keys = [key for key in found if key in self.order]
        for name, t in found:
            if (name, t) not in self.order:
                keys += self._made_from(name, t, seen)
        return sorted(dict.fromkeys(keys), key=self.order.__getitem__)

    def _wrong_at(self, located: Located) -> Iterator[Key]:
        runner, node = self._runner_of(self.runner.problem), located.node
        run = self.check.fixed(runner, located)
        names, seen = parts(node.name, runner.problem.cell), witnesses(runner, run, located)
        if not seen or located.repair.form == "loop" or node.name in runner.truth.starts:
            yield from ((name, node.t) for name in names)
            return
        for witness in seen:
            theirs = dict(split(runner, node.name, witness.t, witness.theirs))
            for name in names:
                key = name, witness.t
                if key not in theirs or self._differs(key, theirs):
                    yield key

    def _runner_of(self, problem: Problem) -> Runner:
        """A runner with a timeline of its own, that knows which loops run over time."""
        runner = runner_on(self.check.code, self.check.choice, problem)
        runner.loops = self.check.loops
        return runner

    def _made_from(self, name: str, t: int | None, seen: dict[Key, Array]) -> list[Key]:
        """What is computed at a step from something that is no result of an equation, such as a⟨t−1⟩ as
        it is read: in the forward pass if it is wrong there, else in the backward pass.
        """
        last = self.runner.problem.T - 1
        if name in self.runner.truth.starts:  # where a loop over time begins
            name, t = (f"{name[0]}_prev", 0) if name[0] != "d" else (name, last)
        if (name, t) in self.order:
            return [(name, t)]
        for direction in ("forward", "backward"):
            users = [e.name for e in self._table.of(direction) if name in e.expression.names]
            keys = [(user, t) for user in users if self._differs((user, t), seen)]
            if keys:
                return keys
        return []

    def _differs(self, key: Key, seen: dict[Key, Array]) -> bool:
        right = self.runner.value(*key)
        if key not in seen or right is None:
            return False
        return not same(seen[key], np.asarray(right), self.runner.tolerance)

    def _first_wrong(self, finding: Finding, seen: dict[Key, Array]) -> list[Key]:
        """Where a result is wrong whose place was not made out: its first number that is."""
        keys = [k for k in self.order if k[0] == finding.quantity and self._differs(k, seen)]
        return keys[:1]


def _with_loss(conventions: Conventions) -> Conventions:
    """The same, where nothing says how targets count with the usual loss."""
    counting = DEFAULT if conventions.counting is None else conventions.counting
    return dataclasses.replace(conventions, counting=counting)


def _elsewhere(finding: Finding) -> str:
    return f"{_said(finding).rstrip('.')}. It does not show on these numbers."


def _said(finding: Finding) -> str:
    where = f"Line {finding.line}" if finding.line is not None else "Beside this"
    what = f", {finding.quantity}" if finding.quantity else ""
    return f"{where}{what}: {finding.message}"
