"""The update: what each parameter was moved by, against what its gradient asks for."""

import ast
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration, versions
from unrolled.checking.procedures.replaying import Replay
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import named, near, statement
from unrolled.checking.procedures.unkept import unkept
from unrolled.checking.report import Cause, Finding, Worst

Array = Any

ROUNDING = 1e-13  # of the largest gradient: what is below it is none


def descend(parameter: Array, gradient: Array, rate: float) -> Array:
    """Return a parameter after one step of gradient descent."""
    return parameter - rate * gradient


def factor(step: Array, gradient: Array, scale: float) -> float | None:
    """Return s where step = −s · gradient, clipped or not, to rounding; None where there is none.

    `scale` is the parameter's largest entry: a step is known to no more than its rounding.
    """
    square = float(np.sum(gradient * gradient))
    if square == 0 or not np.isfinite(step).all():
        return None
    s = -float(np.sum(step * gradient)) / square
    if _near(step, -s * gradient, scale):
        return s
    inner = np.abs(step) < np.max(np.abs(step)) * (1 - 1e-9)
    if not inner.any() or not np.any(gradient[inner]):
        return None
    s = -float(np.sum(step[inner] * gradient[inner])) / float(np.sum(gradient[inner] ** 2))
    limit = np.max(np.abs(step)) / abs(s) if s else 0.0
    return s if s and _near(step, -s * np.clip(gradient, -limit, limit), scale) else None


def _near(first: Array, second: Array, scale: float) -> bool:
    size = np.max(np.abs(first), initial=0)
    return bool(np.max(np.abs(first - second), initial=0) <= 1e-8 * size + 1e-14 * scale)


class Update:
    """The steps of two iterations after each other, and how they come from the gradients."""

    def __init__(self, program: Program, training: Training, done: list[Iteration]):
        self.program, self.training, self.now = program, training, done[0]
        now, then, last = done[0], done[1], done[-1]
        sizes = {n: float(np.max(np.abs(g), initial=0)) for n, g in now.gradients.items()}
        least = ROUNDING * max(sizes.values(), default=0)
        both = now.parameters.keys() & then.parameters.keys()
        self.names = [n for n in now.parameters if n in both and not sizes[n] <= least]
        self.after = {n: then.parameters[n] for n in self.names}
        self.steps = {n: then.parameters[n] - now.parameters[n] for n in self.names}
        self.last = {n: last.parameters[n] for n in self.names if n in last.parameters}
        trace = training.trace
        self.versions = {n: versions(program, trace, now, n) for n in self.names}
        self.scale = {n: float(np.max(np.abs(now.parameters[n]), initial=1)) for n in self.names}
        self.rates = rates(program, training)

    def reaches(self, name: str, limit: float) -> bool:
        """Whether the step was made of the gradient itself, and not of one inside ±limit."""
        s = factor(self.steps[name], self.versions[name][-1], self.scale[name])
        most = float(np.max(np.abs(self.steps[name])))
        if any(np.isclose(most, rate * limit, rtol=1e-5) for rate in self.rates):
            return False  # a clip in the update itself
        return s is None or most > 1.01 * abs(s) * limit

    def made(self) -> bool:
        """Whether something is moved, or would be: a call of an update, or its number in some variable."""
        if any(np.any(step) for step in self.steps.values()) or self.called():
            return True
        first, stop, trace = self.now.backward.end, self.now.stop, self.training.trace
        return any(
            trace.near_origin(descend(self.now.parameters[n], g[-1], rate), first, stop)
            for n, g in self.versions.items()
            for rate in self.rates
        )

    def called(self) -> int | None:
        """The line of the training that calls the update, None where there is no such call."""
        updates = {f.name for f in self.program.having("update")}
        calls = self.training.trace.calls
        inside = (c for c in calls if self.now.backward.end < c.start < self.now.stop)
        return next((c.line for c in inside if c.name in updates), None)

    def dropped(self) -> int | None:
        """The line of a call of the update that returns new parameters, and whose result is not kept."""
        updates = {f.name for f in self.program.having("update")}
        for call in self.training.trace.calls:
            inside = self.now.backward.end < call.start < self.now.stop and call.name in updates
            alone = isinstance(statement(self.program.tree, call.line), ast.Expr)
            if inside and alone and any(path[0] == "return" for path in call.after):
                return call.line
        return None

    def factors(self, version: int) -> dict[str, float | None]:
        """Return −step / gradient of each parameter, with its first (0) or last (−1) gradient."""
        return {
            n: factor(self.steps[n], self.versions[n][version], self.scale[n]) for n in self.names
        }

    def finding(self, name: str, id: str, message: str, right: float = 0.0) -> Finding:
        """Return the finding at the line that gave a parameter its new value."""
        trace, now = self.training.trace, self.now
        first, stop, new = now.backward.end, now.stop, self.after[name]
        rate = right or (self.rates[0] if self.rates else 0.0)
        expected = descend(now.parameters[name], self.versions[name][-1], rate)
        if np.any(self.steps[name]):
            line = trace.origin(new, first, stop, name) or trace.origin(new, first, stop)
        else:
            line = trace.near_origin(expected, first, stop)
        where = line.line if line else update_line(self.program, self.training)
        if id == "unclipped":
            where = self.called() or where
        if id == "no_effect":
            where = self.dropped() or where
        return finding(
            self.program,
            "parameters",
            name,
            where,
            exact(id, message),
            worst=Worst.between(new, expected),
        )


def examine_update(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with the update, or that it descends."""
    if len(done) < 2:
        examined.untestable.append("the update was not tested: no second iteration was seen")
        return
    update = Update(program, training, done)
    if not update.names:
        examined.untestable.append("the update was not tested: no gradient belongs to a parameter")
        return
    if not update.made():
        examined.untestable.append("the update was not tested: none is made")
        return
    found = _wrong(update) or _from_the_first(update, done)
    if (
        not found or found[0].cause.id == "divided"
    ):  # a rule that divides looks so at its first step
        found = _kept_wrong(update, done) or found
    if any(f.quantity == "clipped_gradients" for f in examined.findings):
        found = [f for f in found if f.cause.id != "unclipped"]  # it has been said where
    examined.findings += found
    if not found:
        examined.proved.append("the update goes down the gradient, for every parameter")
        examined.findings += _too_far(update)


def _kept_wrong(update: Update, done: list[Iteration]) -> list[Finding]:
    """What is wrong with a rule that keeps something from step to step, by a replay of its steps."""
    replay = Replay(update.program, update.training, done, update.rates)
    right = replay.right(strictly=True)
    found = None if right else replay.wrong() or replay.counted_by_arrays()
    if found:
        return [replay.finding(*found)]
    right = right or replay.right(strictly=False)
    if right is None or right.rule.first or right.rule.second in ("mean", "sum"):
        return []
    zero = unkept(update.program, update.training, done)
    return [zero] if zero else []


def _wrong(update: Update) -> list[Finding]:
    last = update.factors(-1)
    found = _replaced(update, last) or _by_itself(update, last) or _reduced(update, last)
    if found:
        return [found]
    moved = [n for n in update.names if np.any(update.steps[n])]
    if not moved and any(np.any(v != update.now.parameters[n]) for n, v in update.last.items()):
        return []
    if not moved:
        message = "the update has no effect: no parameter of the next forward pass has changed"
        if update.dropped():
            message += "; the new ones are returned, and the result of the call is not kept"
        return [update.finding(update.names[0], "no_effect", message)]
    for name in update.names:
        if name not in moved:
            message = f"{name} is left out of the update: its gradient is not zero, and it stays"
            return [update.finding(name, "left_out", message)]
    judges = (_twice, _up, _unclipped, _another, _grows, _divided, _rate)
    found_first = (judge(update, last) for judge in judges)
    found = next((f for f in found_first if f), None)
    return [found] if found else []


def _twice(update: Update, last: dict[str, float | None]) -> Finding | None:
    """A second update by the same gradients."""
    names = {f.name for f in update.program.having("update")}
    calls = [
        c for c in update.training.trace.calls
        if c.name in names and update.now.backward.end < c.start < update.now.stop
    ]  # fmt: skip
    same_function = [c for c in calls if c.name == calls[0].name]
    for name, s in last.items():
        again = s is not None and any(np.isclose(s, 2 * rate, rtol=1e-6) for rate in update.rates)
        if again and len(same_function) == 2:
            message = f"{name} is moved twice by the same gradient: the update is called twice"
            found = update.finding(name, "twice", message)
            return dataclasses.replace(found, line=same_function[1].line)
    return None


def _unexplained(update: Update, last: dict[str, float | None]) -> list[str]:
    """The parameters whose step is not the gradient times a number, and that show how it came about."""
    counts = {n: np.count_nonzero(update.versions[n][-1]) for n in last}
    return [n for n, s in last.items() if s is None and counts[n] > 3]


def _replaced(update: Update, last: dict[str, float | None]) -> Finding | None:
    """A parameter that becomes the step, and is not moved by it."""
    for name in _unexplained(update, last):
        old, new, gradient = (
            update.now.parameters[name],
            update.after[name],
            update.versions[name][-1],
        )
        s = factor(new, gradient, 0.0) if np.any(old) and np.any(new) else None
        if s is not None and any(np.isclose(abs(s), rate, rtol=1e-6) for rate in update.rates):
            message = (
                f"{name} is replaced by {-s:.6g} d{name}: the step is not taken from what it was"
            )
            return update.finding(name, "replaced", message)
    return None


def _by_itself(update: Update, last: dict[str, float | None]) -> Finding | None:
    """A step that is the gradient times the parameter: what is zero stays zero."""
    for name in _unexplained(update, last):
        old, gradient = update.now.parameters[name], update.versions[name][-1]
        s = (
            factor(update.steps[name], gradient * old, update.scale[name])
            if old.ndim == 2
            else None
        )
        if s is not None and np.any(update.steps[name]) and np.ptp(old):
            message = (
                f"{name} is multiplied by 1 − η d{name}: the step is not to depend on {name} itself"
            )
            return update.finding(name, "multiplied", message)
    return None


_REDUCTIONS: dict[str, Callable[[Array], Array]] = {
    "the mean of its gradient": np.mean,
    "the sum of its gradient": np.sum,
    "its gradient's largest entry": np.max,
    **{
        f"its gradient {words} along axis {axis}": functools.partial(f, axis=axis, keepdims=True)
        for axis in (0, 1)
        for words, f in (("summed", np.sum), ("averaged", np.mean))
    },
}


def _reduced(update: Update, last: dict[str, float | None]) -> Finding | None:
    for name, s in last.items():
        gradient = update.versions[name][-1]
        for words, reduce in _REDUCTIONS.items() if s is None and gradient.ndim == 2 else ():
            made = _spread(np.asarray(reduce(gradient)), gradient.shape)
            if (
                made is not None
                and factor(update.steps[name], made, update.scale[name]) is not None
            ):
                message = f"{name} is moved by {words}: every entry is moved by its own"
                return update.finding(name, "reduced", message)
    return None


def _grows(update: Update, last: dict[str, float | None]) -> Finding | None:
    """A step down the gradient and a share of the parameter: decay takes it off."""
    for name, s in last.items():
        gradient, old = update.versions[name][-1], update.now.parameters[name]
        if (
            s is not None
            or old.size < 4
            or not np.any(old)
            or not np.isfinite(update.steps[name]).all()
        ):
            continue
        both = np.stack([gradient.ravel(), old.ravel()], axis=1)
        (g, p), *_ = np.linalg.lstsq(both, update.steps[name].ravel(), rcond=None)
        fits = near(g * gradient + p * old, update.steps[name], 1e-8)
        if fits and p > 1e-12 and any(np.isclose(-g, rate, rtol=1e-6) for rate in update.rates):
            message = f"{name} grows by {p:.3g} of itself in each step: a decay of the weights is taken off"
            return update.finding(name, "grows", message)
    return None


def _from_the_first(update: Update, done: list[Iteration]) -> list[Finding]:
    """A finding where the second step starts from what the first one started from."""
    if len(done) < 3:
        return []
    for name in update.names:
        start, moved, now = (i.parameters.get(name) for i in done[:3])
        gradient = versions(update.program, update.training.trace, done[1], name)[-1]
        if start is None or moved is None or now is None or near(now, moved):
            continue
        first, second = factor(moved - start, update.versions[name][-1], update.scale[name]), factor(
            now - start, gradient, update.scale[name])  # fmt: skip
        if first and second and np.isclose(first, second, rtol=1e-6):
            message = f"each step starts from the first {name} again: the one before is lost"
            return [update.finding(name, "from_the_first", message)]
    return []


def _up(update: Update, last: dict[str, float | None]) -> Finding | None:
    for name, s in last.items():
        if s is not None and s < 0:
            message = f"the update goes up the gradient: {name} + η d{name}, with η = {-s:.6g}"
            return update.finding(name, "ascends", f"{message}; descent is {name} − η d{name}", -s)
        if s is None and _climbs(update, name):
            message = f"every entry of {name} moves with the sign of its gradient, not against it"
            found = update.finding(name, "ascends", message)
            return found
    return None


def _climbs(update: Update, name: str) -> bool:
    step, gradient = update.steps[name], update.versions[name][-1]
    there = (step != 0) & (np.abs(gradient) > 1e-12)
    return bool(there.any() and np.all(np.sign(step[there]) == np.sign(gradient[there])))


def _unclipped(update: Update, last: dict[str, float | None]) -> Finding | None:
    first = update.factors(0)
    for name, s in last.items():
        changed = len(update.versions[name]) > 1
        if s is None and changed and first[name] is not None:
            message = f"{name} is moved by the gradient as it was before it was clipped"
            return update.finding(name, "unclipped", message)
    return None


def _another(update: Update, last: dict[str, float | None]) -> Finding | None:
    for name, s in last.items():
        for other in update.names:
            gradient = _spread(update.versions[other][-1], update.steps[name].shape)
            if s is None and other != name and gradient is not None:
                s_other = factor(update.steps[name], gradient, update.scale[name])
                if s_other is not None:
                    message = f"{name} is moved by d{other}, the gradient of another parameter"
                    return update.finding(name, "other_gradient", message)
    return None


def _spread(gradient: Array, shape: tuple[int, ...]) -> Array | None:
    """A gradient as NumPy repeats it where a parameter of this shape is moved by it; None where it cannot."""
    try:
        return np.broadcast_to(gradient, shape)
    except ValueError:
        return None


def _divided(update: Update, last: dict[str, float | None]) -> Finding | None:
    for name, s in last.items():
        gradient = update.versions[name][-1]
        there = gradient != 0
        product = update.steps[name][there] * gradient[there]
        if s is None and product.size > 1 and np.allclose(product, product[0], rtol=1e-6, atol=0):
            message = (
                f"{name} is moved by η / d{name}: divided by its gradient, not multiplied with it"
            )
            return update.finding(name, "divided", message)
    return None


def _rate(update: Update, last: dict[str, float | None]) -> Finding | None:
    for name, s in last.items():
        for rate in update.rates:
            if s is None or np.isclose(s, rate, rtol=1e-6):
                continue
            if np.isclose(s, rate**2, rtol=1e-6) and rate != 1:
                message = f"the learning rate is applied twice: {name} moves by η² d{name}"
            elif np.isclose(s, 1, rtol=1e-6) and _at_once(update, name):
                message = f"the learning rate is not applied: {name} moves by d{name} itself"
            elif np.isclose(s, 1 / rate, rtol=1e-6):
                message = (
                    f"the gradient is divided by the learning rate: {name} moves by d{name} / η"
                )
            else:
                continue
            return update.finding(name, "rate", message, rate)
    return None


def _at_once(update: Update, name: str) -> bool:
    """Whether the step is the gradient itself, and not one that the rate is in already."""
    s = factor(update.steps[name], update.versions[name][0], update.scale[name])
    return s is not None and bool(np.isclose(s, 1, rtol=1e-6))


def _too_far(update: Update) -> list[Finding]:
    for name in update.names:
        step, old = update.steps[name], update.now.parameters[name]
        size, before = (float(np.sqrt(np.mean(v**2))) for v in (step, old))
        if step.ndim == 2 and min(step.shape) > 1 and size > 3 and size > 3 * before:
            message = (
                f"the learning rate is far too large: one step moves {name} by {size:.3g}, its "
                f"entries are of size {before:.3g}; tanh saturates there (usual is 1e-3 to 1)"
            )
            line = rate_line(update.program, update.training)
            cause = Cause("rate_too_large", "exact", message)
            return [finding(update.program, "parameters", name, line, cause, severity="advice")]
    return []


def rates(program: Program, training: Training) -> list[float]:
    """Return every number that is called the learning rate."""
    found = []
    for held in [c.before for c in training.trace.calls] + [x.before for x in training.trace.lines]:
        for path, value in held.items():
            if program.role(path[-1]) == "learning_rate" and value.ndim == 0 and value > 0:
                found.append(float(value))
    return list(dict.fromkeys(found))


def rate_line(program: Program, training: Training) -> int | None:
    """Return where the learning rate gets its value: the number itself, next to its name."""
    numbers = rates(program, training)
    for node in ast.walk(program.tree):
        for name, value in _bound(node):
            number = value.value if isinstance(value, ast.Constant) else None
            if program.role(name) == "learning_rate" and number in numbers:
                return value.lineno
    return update_line(program, training)


def _bound(node: ast.AST) -> list[tuple[str, ast.expr]]:
    """The names that a node gives a value to: by assignment, as a default or in a call."""
    if isinstance(node, ast.Assign):
        return [(named(target), node.value) for target in node.targets]
    if isinstance(node, ast.keyword):
        return [(node.arg or "", node.value)]
    if isinstance(node, ast.arguments):
        names = [a.arg for a in (*node.posonlyargs, *node.args)]
        found = list(zip(reversed(names), reversed(node.defaults), strict=False))
        only = zip(node.kwonlyargs, node.kw_defaults, strict=True)
        return found + [(a.arg, default) for a, default in only if default]
    return []


def update_line(program: Program, training: Training) -> int | None:
    """Return the line that stands for the update: the last one that adds or subtracts and assigns."""
    functions = [*program.having("update"), *program.having("optimize"), *program.having("train")]
    within: ast.AST = functions[0].node if functions else program.tree
    found = [
        node.lineno
        for node in ast.walk(within)
        if isinstance(node, ast.AugAssign | ast.Assign | ast.Return)
        and any(isinstance(getattr(n, "op", None), ast.Sub | ast.Add) for n in ast.walk(node))
    ]
    return max(found, default=getattr(within, "lineno", None))
