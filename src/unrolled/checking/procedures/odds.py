"""How often each symbol is drawn, against the probabilities of their own forward pass at its first step."""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.gradient_checks import moderate
from unrolled.checking.procedures.iterations import Iteration
from unrolled.checking.procedures.roles import Function
from unrolled.checking.procedures.running import Program, Training, bound
from unrolled.checking.procedures.sampling import draw_line, symbols
from unrolled.checking.procedures.tracing import Leaves, named, quiet
from unrolled.checking.report import Finding

Array = Any

DRAWS = 250  # of each first symbol
FIRST = (0, 1, 2)
FITS, FAILS = 35.0, 70.0  # of 2 Σ O ln(O / E) with 4 degrees of freedom: 5e-7 and 2e-14
POWERS = tuple(np.geomspace(0.2, 2, 33))  # 1 / temperature


def by_running_sum(e: Array) -> Array:
    """Return how often each is drawn where a number below 1 is looked up in the running sum of e."""
    edges = np.minimum(np.cumsum(e), 1.0)
    odds = np.diff(np.concatenate([[0.0], edges]))
    odds[-1] += 1 - edges[-1]
    return odds


def by_place(p: Array) -> Array:
    """Return how often each is drawn where a number below 1 is looked up in p itself."""
    numbers = (np.arange(2000) + 0.5) / 2000
    places = np.minimum(np.searchsorted(p, numbers), len(p) - 1)
    return np.bincount(places, minlength=len(p)) / len(numbers)


_SUMS = tuple(
    c for c in np.geomspace(0.05, 500, 90) if abs(c - 1) > 0.1
)  # of what should add up to 1

VARIANTS: dict[str, tuple[Callable[[Array], list[Array]], str]] = {
    "not_normalised": (lambda p: [by_running_sum(p / p.max()), *(by_running_sum(c * p) for c in _SUMS)],
                       "the exponentials are not divided by their sum: a draw from their running sum takes the first symbols far too often"),
    "no_running_sum": (lambda p: [by_place(p)], "the random number is looked up in the probabilities themselves, not in their running sum"),
    "uniform": (lambda p: [np.full_like(p, 1 / len(p))], "every symbol is as likely: the probabilities are not used"),
    "greedy": (lambda p: [np.eye(len(p))[np.argmax(p)]],
               "the most probable symbol is taken each time: nothing is drawn, and the generator is never used"),
}  # fmt: skip


def examine_odds(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add that symbols are not drawn by the probabilities, or that they are."""
    if not done or any(f.quantity == "sample" for f in examined.findings):
        return
    for function in program.having("sample"):
        try:
            found = _outcome(program, function, training, done[0])
        except Exception:  # it wants what is not known here: the other test has said so
            continue
        if isinstance(found, str):
            examined.proved.append(f"`{function.name}` {found}")
        elif found:
            examined.findings.append(found)


def _outcome(
    program: Program, function: Function, training: Training, one: Iteration
) -> Finding | str | None:
    """A finding, what was proved, or None where neither is certain."""
    tries = [_tried(program, function, one, first) for first in FIRST]
    if all(_distance(counts, may, _tempered) < FITS for may, counts in tries):
        return "draws the first symbol by the probabilities of the forward pass"
    if not all(_distance(counts, may, _tempered) > FAILS for may, counts in tries):
        return None
    for id, (odds, message) in VARIANTS.items():
        fits = all(_distance(c, may, odds) < FITS for may, c in tries)
        if fits and (id != "greedy" or _idle_generator(function)):
            return finding(
                program, "sample", function.name, draw_line(function), exact(id, message)
            )
    return None


def _tempered(p: Array) -> Iterator[Array]:
    """Probabilities at any temperature."""
    for power in (1.0, *POWERS):
        q = p**power
        yield q / q.sum()


def _distance(counts: Array, may: list[Array], odds: Callable[[Array], Any]) -> float:
    """Return the least 2 Σ O ln(O / E) over what the probabilities may be."""
    there = counts > 0
    least = np.inf
    for p in may:
        for q in odds(p):
            expected = counts.sum() * np.maximum(q, 1e-12)
            ratio = counts[there] * np.log(counts[there] / expected[there])
            least = min(least, 2 * float(ratio.sum()))
    return least


def _tried(
    program: Program, function: Function, one: Iteration, first: int
) -> tuple[list[Array], Array]:
    """Return the probabilities that the forward pass may give after a symbol, and how often each was drawn."""
    namespace = program.fresh()
    forward = program.function(one.forward.name)
    assert forward is not None
    given = {
        n: _put(program.role(n), copy.deepcopy(v), first) for n, v in one.forward.given.items()
    }
    target = bound(program, namespace, forward)
    owner = getattr(target, "__self__", None)
    moderate(program, {**given, "self": owner})
    trace = program.trace(lambda: target(**given), {})
    may = list(_probabilities(trace.calls[0].after))
    parameters = next((v for n, v in given.items() if program.role(n) == "parameters"), None)
    n = len(may[0])
    drawer = getattr(owner, function.name) if function.owner else namespace[function.name]
    known = {"first": first, "length": 1, "parameters": parameters, "seed": 0}
    assert any(program.role(a) == "first" for a in function.arguments)
    assert function.owner or any(program.role(a) == "parameters" for a in function.arguments)
    state = next((v for a, v in given.items() if program.role(a) == "state"), None)
    counts = np.zeros(n)
    arguments = program.arguments(function, known | {"state": _one(state)})
    seeds = [a for a in arguments if program.role(a) == "seed"]
    generators = [a for a in arguments if program.role(a) == "generator"]
    for seed in range(DRAWS):
        arguments |= dict.fromkeys(seeds, seed)
        arguments |= dict.fromkeys(generators, np.random.default_rng(seed))
        with quiet():
            np.random.seed(seed)
            drawn = symbols(drawer(**arguments), {})
        counts[min(drawn[-1], n - 1)] += len(drawn) in (1, 2)
    assert counts.sum() == DRAWS
    return may, counts


def _put(role: str, value: Any, first: int) -> Any:
    """Inputs that are one symbol at every step, and a state of zeros."""
    if role == "state":
        return np.zeros_like(value)
    if role != "X":
        return value
    array = np.asarray(value)
    if array.ndim < 2 or not _hot_axis(array) + 1:
        return (
            type(value)([first] * len(value))
            if isinstance(value, list)
            else np.full_like(array, first)
        )
    axis = _hot_axis(array)
    hot = np.zeros_like(np.moveaxis(array, axis, 0))
    hot[first] = 1
    return np.moveaxis(hot, 0, axis)


def _hot_axis(array: Array) -> int:
    """The axis of the symbols of one-hot inputs, −1 where there is none."""
    for axis in range(array.ndim):
        if array.shape[axis] > 2 and np.all(np.count_nonzero(array, axis=axis) == 1):
            return axis
    return -1


def _one(state: Any) -> Any:
    """One example's state of zeros, however examples lie in it."""
    if state is None or state.ndim < 2:
        return state
    axis = int(np.argmin(state.shape))
    return np.take(state, [0], axis=axis)


def _probabilities(after: Leaves) -> Iterator[Array]:
    """What may be the probabilities of the first step: numbers of one example that add up to 1."""
    for value in after.values():
        for axis in range(value.ndim):
            v = np.moveaxis(value, axis, -1).reshape(-1, value.shape[axis])[0]
            if len(v) > 2 and np.all(v >= 0) and abs(v.sum() - 1) < 1e-9 and v.max() < 1:
                yield v


def _idle_generator(function: Function) -> bool:
    """Whether a generator is made, or a seed taken, and neither is used for a draw."""
    made = {
        named(n.targets[0]) for n in ast.walk(function.node)
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)
        and named(n.value.func) in ("default_rng", "RandomState", "Random")
    }  # fmt: skip
    used = {
        n.id
        for n in ast.walk(function.node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    return bool(made - used)
