"""The steps inside a sampler: each state from the one before, and the odds from it, or which equation is wrong."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.checking.problems import Conventions, Counting, Problem, Truth
from unrolled.checking.procedures.findings import finding
from unrolled.checking.procedures.roles import Function
from unrolled.checking.procedures.running import Program
from unrolled.checking.procedures.tracing import Trace, near, same
from unrolled.checking.replay import Witness, name_cause
from unrolled.checking.report import Finding, Worst

Array = Any

MADE = 3  # times that a line has to have made an array: two steps from one to the next


@dataclasses.dataclass(frozen=True)
class Made:
    """The arrays that one line made one after another, as columns."""

    name: str
    line: int
    values: list[Array]


def wrong_step(
    program: Program, function: Function, trace: Trace, parameters: dict[str, Array],
    drawn: list[int],
) -> Finding | None:  # fmt: skip
    """Return the finding where a state, or the logits, of a sampler are those of an edited equation.

    `trace` is a run with weights of moderate size, `drawn` the symbols that it returned.
    """
    n_y, n_a = parameters["W_ya"].shape
    states, odds = (list(_made(trace, n)) for n in (n_a, n_y))
    for fed in (drawn, drawn[1:]):  # a list may begin with the first input
        truths = [(one, _truths(parameters, one.values, fed)) for one in states]
        right = next((pair for pair in truths if _is_right(*pair)), None)
        if right:
            return _wrong_odds(program, function, odds, *right)
    return next(_wrong_states(program, function, states, parameters, drawn), None)


def _made(trace: Trace, size: int) -> Iterator[Made]:
    """What lines have made of this size, at least so many times."""
    found: dict[tuple[int, tuple[str, ...]], list[Array]] = {}
    for line in sorted(trace.lines, key=lambda x: x.end):
        for path, value in line.after.items():
            old = line.before.get(path)
            column = value.size == size == max(value.shape, default=0)
            if column and (old is None or not same(old, value)):
                found.setdefault((line.line, path), []).append(value.reshape(-1, 1))
    for (number, path), values in found.items():
        ids = all(np.isin(v, (0, 1)).all() for v in values)  # one-hot columns, or what becomes one
        if len(values) >= MADE and not ids:
            yield Made(path[-1], number, values)


def _truths(parameters: dict[str, Array], states: list[Array], fed: list[int]) -> list[Truth]:
    """What is right at each step after the first, from the state that theirs had before it."""
    pairs = zip(states[:-1], fed, strict=False)
    return [_truth(parameters, state, symbol) for state, symbol in pairs][: MADE - 1]


def _truth(parameters: dict[str, Array], state: Array, symbol: int) -> Truth:
    n_y, n_a = parameters["W_ya"].shape
    n_x = parameters["W_ax"].shape[1]
    sizes = {"n_x": n_x, "n_a": n_a, "n_y": n_y, "m": 1, "T": 1}
    X, Y = (np.eye(n)[:, [symbol % n]][:, :, None] for n in (n_x, n_y))
    problem = Problem(
        "sampling", "rnn", sizes, X, Y, {"a": state}, parameters, np.zeros((n_a, 1, 1))
    )
    return Truth(problem, Conventions(counting=Counting(over=())))


def _is_right(made: Made, truths: list[Truth]) -> bool:
    pairs = list(zip(made.values[1:], truths, strict=False))
    return len(pairs) > 1 and all(near(v, t.value("a", 0)) for v, t in pairs)


def _wrong_states(
    program: Program, function: Function, states: list[Made], parameters: dict[str, Array],
    drawn: list[int],
) -> Iterator[Finding]:  # fmt: skip
    for one in states:
        for fed in (drawn, drawn[1:]):
            truths = _truths(parameters, one.values, fed)
            for quantity in ("a", "z_a"):
                found = _named(program, function, one, one.values[1:], quantity, truths)
                if found:
                    yield found


def _wrong_odds(
    program: Program, function: Function, odds: list[Made], state: Made, truths: list[Truth]
) -> Finding | None:
    """The finding on the first array that should have been the logits, or what they give."""
    after = [_from(one, len(state.values)) for one in odds]
    logits = [t.value("z_y", 0) for t in truths]
    pairs = [list(zip(values, logits, strict=False)) for values in after]
    if any(p and all(_gives_odds(v, z) for v, z in p) for p in pairs):
        return None
    for one, values in zip(odds, after, strict=True):
        for quantity in ("z_y", "y_hat"):
            found = _named(program, function, one, values, quantity, truths)
            if found:
                return found
    return None


def _gives_odds(value: Array, logits: Array) -> bool:
    """Whether numbers, or their logarithms, are the logits times a number above 0 and plus one.

    That is so of the logits, of softmax with and without its sum, and of all these at a temperature.
    """
    both = np.concatenate([logits, np.ones_like(logits)], axis=1)
    for as_logits in (value, np.log(value)) if np.all(value > 0) else (value,):
        (slope, rest), *_ = np.linalg.lstsq(both, as_logits.ravel(), rcond=None)
        if slope > 0 and near(slope * logits + rest, as_logits, 1e-8):
            return True
    return False


def _from(made: Made, steps: int) -> list[Array]:
    """What was made from the second step on."""
    return made.values[1:] if len(made.values) >= steps else made.values


def _named(
    program: Program, function: Function, made: Made, values: list[Array], quantity: str,
    truths: list[Truth],
) -> Finding | None:  # fmt: skip
    witnesses = [Witness(t, 0, v) for t, v in zip(truths, values, strict=False)]
    if len(witnesses) < 2 or any(near(w.theirs, w.truth.value(quantity, 0)) for w in witnesses):
        return None
    cause = name_cause(quantity, witnesses)
    if cause.certainty != "exact":
        return None
    cause = dataclasses.replace(cause, message=f"in {function.name}, {cause.message}")
    worst = Worst.between(values[0], truths[0].value(quantity, 0))
    return finding(program, "sample", made.name, made.line, cause, worst=worst)
