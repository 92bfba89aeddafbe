"""The steps of several iterations against update rules that keep something: right ones, then wrong ones."""

import ast
import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import exact, finding
from unrolled.checking.procedures.iterations import Iteration, versions
from unrolled.checking.procedures.rules import Rule, right_rules, wrong_rules
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.report import Finding

Array = Any

STEPS = 3  # how many are replayed
CLOSE = 1e-6  # relative to the largest entry of a step


@dataclasses.dataclass(frozen=True)
class Fit:
    """A rule and its numbers under which every step is the one that was taken."""

    rule: Rule
    betas: tuple[float, float]
    eps: float
    starts: dict[str, int]
    stride: int = 1


class Replay:
    """The gradients and steps of the first iterations, and the numbers that the update sees."""

    def __init__(
        self, program: Program, training: Training, done: list[Iteration], rates: list[float]
    ):
        self.program, self.training, self.rates = program, training, rates
        self.done = done[: min(STEPS, len(done) - 1) + 1]
        first = self.done[0]
        self.names = [n for n in first.parameters if np.any(first.gradients[n])]
        pairs = list(itertools.pairwise(self.done))
        last = {
            n: [versions(program, training.trace, i, n)[-1] for i, _ in pairs] for n in self.names
        }
        self.gradients = last
        self.taken = {n: [b.parameters[n] - a.parameters[n] for a, b in pairs] for n in self.names}

    def right(self, *, strictly: bool) -> Fit | None:
        """Return a right rule that gives every step: at a rate of theirs, or not strictly, at any."""
        for rule in right_rules():
            found = self._fit(rule, strictly=strictly or rule.second == "now")
            if found:
                return found
        return None

    def wrong(self) -> tuple[Fit, Rule] | None:
        """Return a rule gone wrong that gives every step, at a rate that they have; and the right one.

        Of several, the one of whose parts the most were there.
        """
        fits = ((self._fit(rule, strictly=True), right) for rule, right in wrong_rules())
        found = [(fit, right) for fit, right in fits if fit]
        return max(found, key=lambda pair: self._witnessed(pair[0]), default=None)

    def _witnessed(self, fit: Fit) -> int:
        """How many parts of the first step some line of theirs has brought about."""
        name, now = self.names[0], self.done[0]
        trace, first = self.training.trace, self.parts(fit, self.names[0])[0]
        gradient = self.gradients[name][0]
        news = [v for p, v in first.items() if p != "step" and np.any(v) and not _near(v, gradient)]
        return sum(trace.near_origin(v, now.backward.end, now.stop) is not None for v in news)

    def counted_by_arrays(self) -> tuple[Fit, Rule] | None:
        """Return a corrected rule where t rises with every array, and not with every update."""
        for rule in (r for r in right_rules() if r.corrected):
            for betas, eps in self._numbers(rule):
                starts = {n: self._start(rule, n, betas, eps) for n in self.names}
                if all(starts.values()) and len(set(starts.values())) > 1:
                    message = (
                        f"{rule.label()} counts t with every array, not with every update: at the first "
                        f"update t is {max(starts.values())} for the last of them"
                    )
                    one = dataclasses.replace(rule, id="counted_by_arrays", message=message)
                    return Fit(one, betas, eps, starts, len(self.names)), rule
        return None

    def _start(self, rule: Rule, name: str, betas: tuple[float, float], eps: float) -> int:
        """The t of the first update for one array; 0 where there is none."""
        many = len(self.names)
        for start in range(1, many + 1):
            if self._agrees(Fit(rule, betas, eps, {name: start}, many), strictly=True):
                return start
        return 0

    def _fit(self, rule: Rule, *, strictly: bool) -> Fit | None:
        for betas, eps in self._numbers(rule):
            fit = Fit(rule, betas, eps, dict.fromkeys(self.names, 1))
            if self._agrees(fit, strictly):
                return fit
        return None

    def _agrees(self, fit: Fit, strictly: bool) -> bool:
        """Whether each step is one number times that of the rule, the same for all parameters.

        Strictly, that number is a learning rate of theirs.
        """
        least = min(fit.starts, key=lambda n: self.gradients[n][0].size)
        if len(fit.starts) > 1:
            alone = dataclasses.replace(fit, starts={least: fit.starts[least]})
            if not self._agrees(alone, strictly):
                return False
        made = {n: self.parts(fit, n) for n in fit.starts}
        seen = 0
        for k in range(len(self.done) - 1):
            rate = None
            for name, parts in made.items():
                step, taken = parts[k]["step"], self.taken[name][k]
                if not np.array_equal(np.isfinite(step), np.isfinite(taken)):
                    return False
                there = np.isfinite(taken)
                seen += int(there.sum())
                if there.any():
                    rate = _rate(step[there], taken[there]) if rate is None else rate
                    if rate is None or not _near(-rate * step[there], taken[there]):
                        return False
            if rate is not None and (rate <= 0 or (strictly and not self._is_rate(rate))):
                return False
        return seen > 0 or fit.rule.count == "from_zero"

    def _is_rate(self, rate: float) -> bool:
        return any(np.isclose(rate, r, rtol=1e-5) for r in self.rates)

    def parts(self, fit: Fit, name: str) -> list[dict[str, Array]]:
        """Return what a rule makes of one parameter's gradients, step by step."""
        with np.errstate(all="ignore"):
            steps = fit.rule.steps(
                self.gradients[name], fit.betas, fit.eps, fit.starts[name], fit.stride
            )
            return list(steps)

    def _numbers(self, rule: Rule) -> Iterable[tuple[tuple[float, float], float]]:
        """The β and ε that a rule may have, among the numbers that their update sees."""
        seen = self._seen()
        betas = [n for n in seen if 1e-3 < n < 1]
        ones = betas if rule.first else [0.0]
        twos = betas if rule.second == "mean" else [0.0]
        tiny = [n for n in seen if 0 < n <= 1e-3] if rule.second else []
        pairs = itertools.product(ones, twos)
        return list(itertools.product(pairs, [*tiny, 0.0]))

    def _seen(self) -> list[float]:
        """All numbers between 0 and 1 in their update: constants, variables, attributes."""
        functions = [
            f.node for r in ("update", "optimize", "train") for f in self.program.having(r)
        ]
        among: list[ast.AST] = [*functions, *_inits(self.program)] or [self.program.tree]
        nodes = (n for part in among for n in ast.walk(part))
        consts = [
            n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, float)
        ]
        held = [float(v) for c in self.training.trace.calls[:200] if c.start < self.done[1].forward.start
                for v in c.before.values() if not v.ndim]  # fmt: skip
        found = [n for n in dict.fromkeys([*consts, *held]) if 0 < n < 1]
        return list(dict.fromkeys([*found, *(1 - n for n in found if n > 1e-3)]))[:14]

    def finding(self, fit: Fit, right: Rule) -> Finding:
        """Return the finding, at the line that brought about the first part that is wrong."""
        name = next(iter(fit.starts))
        should = dataclasses.replace(fit, rule=right, starts=dict.fromkeys(fit.starts, 1), stride=1)
        line = None
        for name in fit.starts:
            line = self._line(name, self.parts(fit, name), self.parts(should, name))
            if line:
                break
        return finding(self.program, "parameters", name, line, exact(fit.rule.id, fit.rule.message))

    def _line(
        self, name: str, yours: list[dict[str, Array]], should: list[dict[str, Array]]
    ) -> int | None:
        for k, (made, wanted) in enumerate(zip(yours, should, strict=True)):
            now = self.done[k]
            for part, value in made.items():
                if not _near(value, wanted[part]) and np.isfinite(value).all():
                    found = self.training.trace.near_origin(value, now.backward.end, now.stop)
                    if found:
                        return found.line
            new = self.done[k + 1].parameters[name]
            if not _near(made["step"], wanted["step"]):
                place = self.training.trace.origin(new, now.backward.end, now.stop)
                return place.line if place else None
        return None


def _inits(program: Program) -> list[ast.AST]:
    return [f.node for f in program.functions if f.name == "__init__"]


def _rate(step: Array, taken: Array) -> float | None:
    square = float(np.sum(step * step))
    return -float(np.sum(step * taken)) / square if square else None


def _near(first: Array, second: Array) -> bool:
    size = np.max(np.abs(second), initial=0)
    return bool(np.max(np.abs(first - second), initial=0) <= CLOSE * size)
