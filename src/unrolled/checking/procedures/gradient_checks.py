"""Their own gradient check: does it accept right gradients, does it notice wrong ones, and if not why."""

import ast
import contextlib
import copy
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.checking.procedures.changing import changed, places
from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.given import stream
from unrolled.checking.procedures.iterations import Iteration, parameters_in
from unrolled.checking.procedures.roles import Function, gradient_of, is_parameter
from unrolled.checking.procedures.running import (
    Namespace,
    Program,
    Training,
    bound,
    initial,
    put,
)
from unrolled.checking.procedures.tracing import (
    Call,
    Trace,
    assignments,
    leaves,
    named,
    near,
    same,
)
from unrolled.checking.report import Cause, Finding, Worst

Array = Any

SMALL = 0.02  # relative: entries close to zero are known to few digits
_ERROR = re.compile(r"err|diff|rel|delta", re.I)
TINY = 1e-10  # an ε of this size leaves nothing but rounding
MANY = 1_000_000  # calls
SECONDS = 2.5  # no gradient after another is made wrong after that
WRONG = 1.25  # what their gradients are multiplied by, to see whether the check notices


def relative_error(numeric: Array, analytic: Array) -> float:
    """Return ‖numeric − analytic‖ / (‖numeric‖ + ‖analytic‖)."""
    size = np.linalg.norm(numeric) + np.linalg.norm(analytic)
    return float(np.linalg.norm(numeric - analytic) / size) if size else 0.0


# What a wrong quotient gives in place of the derivative g, by its factor.
QUOTIENTS: dict[str, tuple[Callable[[float], float], str]] = {
    "by_eps": (lambda eps: 2.0, "the central difference is divided by ε, not by 2ε: twice the derivative"),
    "one_sided_by_two": (lambda eps: 0.5, "a one-sided difference is divided by 2ε: half the derivative"),
    "by_four_eps": (lambda eps: 0.5, "the central difference is divided by 4ε: half the derivative"),
    "swapped": (lambda eps: -1.0, "the difference is taken the wrong way round: minus the derivative"),
    "not_divided": (lambda eps: 2 * eps, "the difference is not divided by 2ε"),
    "times_eps": (lambda eps: 2 * eps * eps, "the difference is multiplied by ε in place of divided by 2ε"),
    "by_eps_squared": (lambda eps: 1 / eps, "the difference is divided by ε², not by 2ε"),
}  # fmt: skip


# What goes wrong where the numeric gradient is right, by what is reported of both.
_norm = np.linalg.norm
COMPARISONS: dict[str, tuple[Callable[[Array, Array], Any], str]] = {
    "difference_below": (lambda a, b: _norm(a - b) / (_norm(a) - _norm(b)),
                         "the denominator is the difference of the norms, which is nearly zero where the gradients are right: it is their sum"),
    "difference_below_size": (lambda a, b: _norm(a - b) / abs(_norm(a) - _norm(b)),
                              "the denominator is the difference of the norms, which is nearly zero where the gradients are right: it is their sum"),
    "norm_of_difference_below": (lambda a, b: _norm(a - b) / _norm(a - b),
                                 "the difference is divided by itself, not by the sum of the norms"),
    "sum_above": (lambda a, b: _norm(a + b) / (_norm(a) + _norm(b)),
                  "the gradients are added where their difference belongs"),
    "upside_down": (lambda a, b: (_norm(a) + _norm(b)) / _norm(a - b),
                    "the error is upside down: the sum of the norms is divided by the difference"),
    "norms_added": (lambda a, b: (_norm(a) + _norm(b)) / (_norm(a) + _norm(b)),
                    "the sum of the norms is divided by itself: the difference belongs above"),
}  # fmt: skip


def examine_gradient_checks(
    program: Program, training: Training | None, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with their gradient check, or that it tells right from wrong."""
    proved = f"accepts right gradients and refuses those {WRONG} times as large"
    examined.examine(
        program.having("check"), lambda f: _Check(program, f, training, done).outcome(), proved
    )


class _Check:
    """One gradient check of theirs, run on right gradients and on wrong ones."""

    def __init__(
        self, program: Program, function: Function, training: Training | None, done: list[Iteration]
    ):
        self.program, self.function = program, function
        self.names = [f.name for f in program.functions if f.role == "backward"]
        self.names += [i.backward.name for i in done[:1] if i.backward.name not in self.names]
        self.forward = {f.name for f in program.functions if f.role == "forward"}
        self.forward |= {i.forward.name for i in done[:1]}
        self.given = done[min(1, len(done) - 1)].forward.given if done else {}
        self.namespace = training.namespace if training and training.name == "<module>" else None
        self.result: Any = None
        self._scaled, self._gradients = False, 0
        self._places: list[tuple[str, ...]] = []
        self.until = time.monotonic() + SECONDS

    def outcome(self) -> Finding | str | None:
        """A finding, why it cannot be tested, or None where it is right."""
        trace = self._run(right_gradients)
        if trace.stopped and not trace.stopped.startswith("AssertionError"):
            return f"it stopped: {trace.stopped}"
        right = self._verdict(trace)
        calls = self._forward_calls(trace)
        found = self._other_inputs(trace, calls) or self._not_restored(calls)
        if found:
            return found
        wrong = self._verdict(self._run(larger))
        if right is None or wrong is None:
            return "it returns neither errors nor a verdict"
        if right > SMALL:
            return self._refuses(right)
        if not self._scaled:
            return "it does not call a backward pass that could be made wrong"
        if wrong <= 10 * right:
            message = (
                f"it cannot fail: with all gradients {WRONG} times as large it reports {wrong:.2g}, "
                f"as little as {right:.2g} with the right ones"
            )
            return self._finding(self._compare_line(), exact("cannot_fail", message))
        found = self._signless(right) or self._cancels(right) or self._stops_early(right)
        return found or self._overwritten(right)

    def _signless(self, right: float) -> Finding | None:
        """Gradients of the other sign are noticed by all but a comparison of sizes."""
        wrong = self._accepted(lambda value: changed(value, lambda g, k: -g), right)
        if wrong is None:
            return None
        message = (
            "only sizes are compared: it accepts gradients with the other sign, as it would any others "
            f"that are as large; with them it reports {wrong:.2g}"
        )
        return self._finding(self._compare_line(), exact("signless", message))

    def _accepted(self, change: Callable[[Any], Any], right: float) -> float | None:
        """What it reports for changed gradients, where it takes them for right; None where it does not."""
        wrong = self._verdict(self._run(change))
        return None if wrong is None or wrong > 10 * right or wrong > 1e-3 else wrong

    def _overwritten(self, right: float) -> Finding | None:
        """A gradient that was worked out by differences, and is wrong, has to be noticed."""
        trace = self._run(right_gradients, every_call=True)
        if sum(v.size for v in leaves(self.result).values()) > 1:
            return None  # an error for each
        moved = self._moved(self._forward_calls(trace))
        names = [gradient_of(path[-1]) if path else "" for path in self._places]
        if len(moved) < 2 or any(names.count(n) != 1 for n in moved):
            return None
        missed = []
        for n, name in enumerate(names):
            if name in moved and time.monotonic() < self.until and not self._notices(n, right):
                missed.append(name)
        if not missed or len(missed) == len(moved):
            return None
        message = (
            f"what was found for {', '.join(missed)} does not come into what it reports: only "
            f"{', '.join(n for n in moved if n not in missed)} would be noticed"
        )
        return self._finding(self._compare_line(), exact("overwritten", message))

    def _moved(self, calls: list[Call]) -> list[str]:
        """The parameters that differ, in some run, from those of the first."""
        first = parameters_in(self.program, calls[0].before) if calls else {}
        runs = [parameters_in(self.program, call.before) for call in calls[1:]]
        return [n for n, v in first.items() if any(n in r and not same(r[n], v) for r in runs)]

    def _forward_calls(self, trace: Trace) -> list[Call]:
        """The forward passes that it makes itself."""
        inside = (c for c in trace.calls if c.caller == self.function.name)
        return [c for c in inside if c.name in self.forward]

    def _cancels(self, right: float) -> Finding | None:
        """Errors of both signs in every entry, whose sum is zero, are noticed by all but a sum of them."""
        wrong = self._accepted(astray, right)
        if wrong is None:
            return None
        message = (
            "errors of opposite sign cancel: signed differences are summed. With every entry of the "
            f"gradients wrong, and their sum right, it reports {wrong:.2g}"
        )
        return self._finding(self._compare_line(), exact("cancels", message))

    def _stops_early(self, right: float) -> Finding | None:
        """A loop that ends in its first turn leaves gradients out; which ones, wrong gradients show."""
        line = self._left_at()
        if line is None:
            return None
        missed = [n for n in range(self._gradients) if not self._notices(n, right)]
        if not missed or len(missed) == self._gradients:
            return None
        message = (
            "the loop is left in its first turn: "
            f"{len(missed)} of {self._gradients} gradients are never compared"
        )
        return self._finding(line, exact("stops_early", message))

    def _notices(self, which: int, right: float) -> bool:
        wrong = self._verdict(self._run(lambda value: only(value, which)))
        return wrong is None or wrong > 10 * right

    def _left_at(self) -> int | None:
        """The line of a return or break that every first turn of a loop comes to."""
        for node in ast.walk(self.function.node):
            if isinstance(node, ast.For | ast.While):
                ends = (n for n in node.body if isinstance(n, ast.Return | ast.Break))
                end = next(ends, None)
                if end:
                    return end.lineno
        return None

    def _verdict(self, trace: Trace) -> float | None:
        """What a run reports: returned, asserted, or left in its variables when it returns nothing."""
        if trace.stopped:
            return 1.0
        if self.result is not None:
            return verdict(self.result)
        if any(isinstance(n, ast.Assert | ast.Raise) for n in ast.walk(self.function.node)):
            return 0.0
        held = next(c.after for c in trace.calls if c.name == self.function.name)
        errors = [v for path, v in held.items() if _ERROR.search(path[0]) and v.size]
        return max((float(np.max(np.abs(v))) for v in errors), default=None)

    def _run(self, change: Callable[[Any], Any], *, every_call: bool = False) -> Trace:
        """Run it with its gradients changed, and keep its lines, or every call of a forward pass."""
        namespace = self.program.fresh()
        if self.namespace is not None:
            namespace = self.namespace
        given = self.program.arguments(self.function, self._known(namespace))
        given = {n: copy.deepcopy(self.given.get(n, v)) for n, v in given.items()}
        target = bound(self.program, namespace, self.function)
        self._scaled = False
        moderate(self.program, {**given, "self": getattr(target, "__self__", None)})
        for name, value in given.items():
            if self.program.role(name) == "Y":
                given[name] = with_targets(value)
            if self.program.role(name) == "gradients":
                given[name], self._scaled = change(value), True

        def run() -> None:
            self.result = target(**given)

        with self._changed(namespace, change):
            if every_call:
                return self.program.trace(run, dict.fromkeys(self.forward, MANY))
            return self.program.trace(run, {}, frozenset({self.function.name}))

    @contextlib.contextmanager
    def _changed(self, namespace: Namespace, change: Callable[[Any], Any]) -> Iterator[None]:
        """While it lasts, backward passes hand back changed gradients."""
        owners = {f.name: f.owner for f in self.program.functions if f.name in self.names}
        old: list[tuple[Any, str, Any]] = []
        for name, owner in owners.items():
            holder = namespace.get(owner) if owner else None
            now = vars(holder).get(name) if holder else namespace.get(name)
            if callable(now):
                old.append((holder, name, now))
                put(namespace, holder, name, self._wrapped(now, change))
        try:
            yield
        finally:
            for holder, name, function in old:
                put(namespace, holder, name, function)

    def _wrapped(
        self, function: Callable[..., Any], change: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        def backward(*args: Any, **kwargs: Any) -> Any:
            self._scaled = True
            result = function(*args, **kwargs)
            self._places = places(result)
            self._gradients = len(self._places)
            return change(result)

        return backward

    def _known(self, namespace: Namespace) -> dict[str, Any]:
        sizes = {**self.program.sizes({}), "T": 4, "m": 3}
        known = {**stream(sizes), **initial(self.program, namespace)}
        rng = np.random.default_rng(5)
        known["state"] = rng.normal(size=known["state"].shape) * 0.5
        for name, value in self.given.items():
            known[self.program.role(name)] = value
        return known

    def _other_inputs(self, trace: Trace, calls: list[Call]) -> Finding | None:
        """The runs to compare have to start from the same state, on the same inputs and targets."""
        for call in calls[1:]:
            for role, words in (("state", "initial state"), ("X", "inputs"), ("Y", "targets")):
                for path, value in call.before.items():
                    if path[0] not in call.arguments or self.program.role(path[0]) != role:
                        continue
                    first = calls[0].before.get(path)
                    if first is None or near(first, value):
                        continue
                    last = self._is_last(calls[0], value)
                    rest = ": it is the last state that the first run left" if last else ""
                    message = (
                        f"the runs with a changed parameter have another {words} than the run whose "
                        f"gradients are checked{rest}; the difference of their losses is no derivative"
                    )
                    place = trace.assigned(path[0], call.start, assignments(self.program.tree))
                    inside = place and place.function == self.function.name
                    line = place.line if place and inside else call.line
                    return self._finding(line, exact("other_inputs", message), value, first)
        return None

    def _is_last(self, call: Call, value: Array) -> bool:
        for held in call.after.values():
            if held.ndim == value.ndim + 1:
                ends = (np.take(held, -1, axis=k) for k in range(held.ndim))
                if any(near(end, value) for end in ends):
                    return True
            if near(held, value):
                return True
        return False

    def _not_restored(self, calls: list[Call]) -> Finding | None:
        """Against the first run, one entry of one parameter may be changed at a time."""
        first = parameters_in(self.program, calls[0].before) if calls else {}
        for call in calls[1:]:
            now = parameters_in(self.program, call.before)
            both = [(now[n], v) for n, v in first.items() if n in now and now[n].shape == v.shape]
            sizes = np.concatenate([np.abs(a - b).ravel() for a, b in both] or [np.zeros(1)])
            changed = int(np.sum(sizes > 1e-3 * sizes.max()))  # what is put back may be rounded
            if changed > 1:
                message = (
                    "an entry that was changed is not put back: later runs differ from the first in "
                    f"{changed} entries, not in one"
                )
                return self._finding(self._quotient_line(), exact("not_restored", message))
        return None

    def _refuses(self, right: float) -> Finding:
        """It refuses right gradients: its own losses say by what it divides, or its error does."""
        trace = self._run(right_gradients, every_call=True)
        calls = self._forward_calls(trace)
        line = self._quotient_line()
        if len(calls) > 2 and not self._moved(calls):
            message = (
                "no run has a changed parameter: the loss is taken each time at the parameters as they "
                "were, and the difference is zero"
            )
            return self._finding(line, exact("not_moved", message))
        if self._steps(calls) and self._eps(calls) < TINY:
            message = (
                f"ε = {self._eps(calls):.0e} is too small: the difference of the losses is rounding; "
                "1e-5 is usual"
            )
            return self._finding(line, exact("eps_too_small", message))
        stored = self._stored(trace)
        if stored:
            return self._finding(line, exact(*stored))
        id = self._quotient(trace, calls)
        if not id and (compared := self._comparison(trace)):
            return self._finding(self._compare_line(), exact(compared, COMPARISONS[compared][1]))
        id = id or self._by_error(right, calls)
        if id:
            return self._finding(line, exact(id, QUOTIENTS[id][1]))
        message = f"it refuses right gradients: it reports {right:.3g}"
        return self._finding(line, Cause(message=message))

    def _stored(self, trace: Trace) -> tuple[str, str] | None:
        """What is wrong with where the quotients are kept, by an array that it keeps."""
        held = next(c.after for c in trace.calls if c.name == self.function.name)
        arrays = [v for v in held.values() if v.ndim and v.size > 1 and np.any(v)]
        for one in arrays:
            last = [b.flat[-1] for b in arrays if b is not one and b.shape == one.shape]
            only = one[one != 0]
            if not np.ptp(one) and any(near(one.flat[0], x, 1e-4) for x in last):
                message = "each quotient is written to every entry: only the last one is left in all of them"
                return "overwrites_all", message
            if only.size == 1 and any(near(only[0], x, 1e-4) for x in last):
                return "one_entry", "every quotient is written to one and the same entry"
        return None

    def _comparison(self, trace: Trace) -> str:
        """Which comparison gives a number that it keeps, of two arrays that agree."""
        held = next(c.after for c in trace.calls if c.name == self.function.name)
        arrays = [v for v in held.values() if v.ndim and np.any(v)]
        numbers = {float(v) for v in held.values() if not v.ndim}
        pairs = [(a, b) for a in arrays for b in arrays if a is not b and near(a, b, 1e-4)]
        for id, (compare, _) in COMPARISONS.items():
            with np.errstate(all="ignore"):
                made = [float(compare(a, b)) for a, b in pairs if not same(a, b)]
            if any(np.isclose(m, n, rtol=1e-5, atol=0) for m in made for n in numbers):
                return id
        return ""

    def _quotient(self, trace: Trace, calls: list[Call]) -> str:
        """Which factor stands between the difference of its last two losses and a number it keeps."""
        losses = [_loss(call) for call in calls[-2:]]
        steps, eps = self._steps(calls), self._eps(calls)
        if len(losses) < 2 or losses[0] is None or losses[1] is None or not self._central(calls):
            return "one_sided_by_two" if steps and not self._central(calls) else ""
        first = _loss(calls[0])
        held = next(c.after for c in trace.calls if c.name == self.function.name)
        numbers = {float(v.flat[-1]) for v in held.values() if v.size}
        if first is not None and _one_sided([losses[0], losses[1]], first, eps, numbers):
            return "one_sided_by_two"
        difference = losses[0] - losses[1]
        central = difference / (2 * eps) * (1 if steps[-2] > 0 else -1)
        if not central or any(np.isclose(n, central, rtol=1e-6) for n in numbers):
            return ""
        for id, (factor, _) in QUOTIENTS.items():
            if any(np.isclose(n, factor(eps) * central, rtol=1e-6, atol=0) for n in numbers):
                return id
        return ""

    def _by_error(self, right: float, calls: list[Call]) -> str:
        """Which factor gives the relative error that it reports."""
        eps, one = self._eps(calls), np.ones(1)
        for id, (factor, _) in QUOTIENTS.items():
            c = factor(eps)
            errors = (relative_error(c * one, one), abs(c - 1), abs(c - 1) / abs(c))
            if right < 0.999 and any(np.isclose(right, e, rtol=1e-4) for e in errors):
                return "by_four_eps" if c == 0.5 and self._central(calls) else id
        return ""

    def _steps(self, calls: list[Call]) -> list[float]:
        """By how much the parameter was changed in each run."""
        first = parameters_in(self.program, calls[0].before) if calls else {}
        found = []
        for call in calls[1:]:
            now = parameters_in(self.program, call.before)
            off = [now[n] - v for n, v in first.items() if n in now and now[n].shape == v.shape]
            found += [float(s) for d in off for s in d[d != 0].ravel()]
        return found

    def _eps(self, calls: list[Call]) -> float:
        steps = [abs(s) for s in self._steps(calls)]
        return float(np.median(steps)) if steps else 1e-5

    def _central(self, calls: list[Call]) -> bool:
        steps = self._steps(calls)
        return any(s > 0 for s in steps) and any(s < 0 for s in steps)

    def _finding(
        self, line: int | None, cause: Cause, yours: Array = None, expected: Array = None
    ) -> Finding:
        off = Worst.between(yours, expected) if yours is not None else None
        return finding(self.program, "gradient_check", self.function.name, line, cause, worst=off)

    def _lines(self, wanted: Callable[[ast.AST], bool]) -> list[int]:
        return [getattr(n, "lineno", 0) for n in ast.walk(self.function.node) if wanted(n)]

    def _quotient_line(self) -> int:
        """The line that makes the difference quotient: the first division after a subtraction."""

        def quotient(node: ast.AST) -> bool:
            return (
                isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mult)
                and any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub) for n in ast.walk(node))
            )  # fmt: skip

        def difference(node: ast.AST) -> bool:
            return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)

        lines = sorted(self._lines(quotient)) or sorted(self._lines(difference))
        return lines[0] if lines else self.function.node.lineno

    def _compare_line(self) -> int:
        """The line that compares: the last one with a norm, a maximum or a closeness."""
        words = {"norm", "max", "allclose", "isclose", "abs", "mean", "sum"}
        lines = self._lines(lambda n: isinstance(n, ast.Call) and named(n.func) in words)
        return max(lines) if lines else self.function.node.lineno


def _one_sided(losses: list[float], first: float, eps: float, numbers: set[float]) -> bool:
    """Whether one of the numbers is a difference from the first loss, divided by 2ε."""
    made = [abs(loss - first) / (2 * eps) for loss in losses]
    return any(m and np.isclose(abs(n), m, rtol=1e-9, atol=0) for m in made for n in numbers)


def _loss(call: Call) -> float | None:
    numbers = (v for path, v in call.after.items() if path[0] == "return" and not v.ndim)
    return next((float(v) for v in numbers), None)


def moderate(program: Program, given: dict[str, Any]) -> None:
    """Bring all parameters to a size where no unit saturates and no gradient vanishes."""
    rng = np.random.default_rng(11)
    for name, value in given.items():
        if program.role(name) == "parameters":
            _redraw(value, rng)
        elif hasattr(value, "__dict__"):
            held = vars(value).items()
            for inner in [v for n, v in held if program.role(n) == "parameters" or is_parameter(n)]:
                _redraw(inner, rng)


def _redraw(value: Any, rng: np.random.Generator) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        value[...] = rng.normal(size=value.shape) * 0.4
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _redraw(inner, rng)


def with_targets(Y: Any) -> Any:
    """Return one-hot targets with a target where a step has none: without one, no loss is compared."""
    if not isinstance(Y, np.ndarray) or Y.ndim < 2 or Y.dtype.kind not in "fiu":
        return Y
    for axis in range(Y.ndim):
        ones = np.count_nonzero(Y, axis=axis)
        if Y.shape[axis] > 1 and ones.max() == 1 and set(np.unique(Y)) == {0, 1}:
            filled = np.moveaxis(Y.copy(), axis, 0)
            filled[0][ones == 0] = 1
            return np.moveaxis(filled, 0, axis)
    return Y


def verdict(result: Any) -> float | None:
    """Return the largest error that a check reports, 0 or 1 for a truth value; None where it shows none."""
    if isinstance(result, bool | np.bool_):
        return 0.0 if result else 1.0
    if isinstance(result, tuple | list) and result and isinstance(result[0], bool | np.bool_):
        return verdict(result[0])
    found = [v for v in leaves(result).values() if v.size]
    return max((float(np.max(np.abs(v))) for v in found), default=None)


def right_gradients(value: Any) -> Any:
    """Return the result of a backward pass as it is."""
    return value


def larger(value: Any) -> Any:
    """Return the result of a backward pass with every array of numbers multiplied."""
    return changed(value, lambda g, k: g * WRONG)


def astray(value: Any) -> Any:
    """Return the result of a backward pass with every entry moved, and the sum of each array as it is."""
    return changed(value, _moved)


def only(value: Any, which: int) -> Any:
    """Return the result of a backward pass with one of its arrays, in their order, multiplied."""
    return changed(value, lambda g, k: g * WRONG if k == which else g)


def _moved(gradient: Array, k: int) -> Array:
    noise = np.random.default_rng(k).uniform(1, 2, gradient.shape)
    noise.flat[1::2] *= -1
    return gradient + (noise - noise.mean()) * np.max(np.abs(gradient), initial=0)
