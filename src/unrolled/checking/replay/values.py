"""What an edited equation gives on a truth, and whether that is the number that was seen.

A leaf of an edited equation may name another step: "a@+1", "a@first", "a@wrapped" (see `_ELSEWHERE`).
Besides the operations of cells there are those that only a mistake has; `MISTAKEN` holds them.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.activations import softmax_jacobian
from unrolled.checking.problems import Truth
from unrolled.checking.replay.forms import derived
from unrolled.equations.expressions import _OPERATORS, Expression
from unrolled.functions import PRIMITIVES

Array = Any
ROUNDING = 1e-7  # of the tensor's scale: what two right ways of computing may differ by


@dataclass(frozen=True)
class Witness:
    """One place where a number was seen.

    `t` is its step, None for a total. `theirs` is in the legend's layout, (n_a, m) or a parameter's
    shape, () for a loss; a wrong shape is kept as it came.
    """

    truth: Truth
    t: int | None
    theirs: Array


def _softmax(shift: Any, over: Any) -> Callable[[Array], Array]:
    """A softmax that takes its largest entry and its sum over some axes; shift () is none."""

    def softmax(z: Array) -> Array:
        e = np.exp(z if shift == () else z - np.max(z, axis=shift, keepdims=True))
        return e / np.sum(e, axis=over, keepdims=True)

    return softmax


_AXES = {"columns": 0, "rows": 1, "all": None, "none": ()}
SOFTPLUSES: dict[str, Callable[[Array], Array]] = {  # log(1 + exp(z)), as it cannot overflow
    "softplus_without_abs": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-z)),
    "softplus_of_abs": lambda z: np.maximum(z, 0) + np.log1p(np.exp(np.abs(z))),
    "softplus_without_max": lambda z: np.log1p(np.exp(-np.abs(z))),
    "softplus_with_min": lambda z: np.minimum(z, 0) + np.log1p(np.exp(-np.abs(z))),
}
SOFTMAXES = {
    f"softmax_shift_{shift}_sum_{over}": _softmax(_AXES[shift], _AXES[over])
    for over in ("columns", "rows", "all")
    for shift in ("columns", "rows", "all", "none")
    if (shift, over) != ("columns", "columns")
}
MISTAKEN: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "of_all_columns": lambda y: np.repeat(np.max(y, axis=1, keepdims=True), np.shape(y)[1], axis=1),
    "shifted": lambda z: z - np.max(z, axis=0, keepdims=True),
    "shifted_up": lambda z: z + np.max(z, axis=0, keepdims=True),
    "exp_shifted": lambda z: np.exp(z - np.max(z, axis=0, keepdims=True)),
    "log": np.log,
    "cosh": np.cosh,
    "over_all": np.sum,
    "mean_batch": lambda x: np.mean(x, axis=1, keepdims=True),
    "mean_features": lambda x: np.mean(x, axis=0, keepdims=True),
    "mean_all": np.mean,
    "max_batch": lambda x: np.max(x, axis=1, keepdims=True),
    "max_features": lambda x: np.max(x, axis=0, keepdims=True),
    "flat_batch": lambda x: np.sum(x, axis=1),
    "flat_features": lambda x: np.sum(x, axis=0),
    "flat": np.ravel,
    "jacobian_row_sums": lambda y_hat: softmax_jacobian(y_hat).sum(axis=1),
    "jacobian_column_sums": lambda y_hat: softmax_jacobian(y_hat).sum(axis=0),
    "clipped": lambda x: np.clip(x, -1, 1),
    "beside_rows": lambda p, q: np.concatenate([p, q]),
    "beside_columns": lambda p, q: np.concatenate([p, q], axis=1),
    "first_rows": lambda p, q, like: np.concatenate([p, q])[: len(like)],
    "last_rows": lambda p, q, like: np.concatenate([p, q])[-len(like) :],
    "first_columns": lambda p, q, like: np.concatenate([p, q], axis=1)[:, : like.shape[1]],
    "last_columns": lambda p, q, like: np.concatenate([p, q], axis=1)[:, -like.shape[1] :],
    **SOFTMAXES,
    **SOFTPLUSES,
}
OVER_TIME: dict[str, Callable[[list[Array]], Array]] = {
    "over_time": sum,
    "first": lambda shares: shares[0],
    "last": lambda shares: shares[-1],
    "without_first": lambda shares: sum(shares[1:]),
    "without_last": lambda shares: sum(shares[:-1]),
    "running": lambda shares: sum((t + 1) * share for t, share in enumerate(shares)),
    "largest": lambda shares: functools.reduce(np.maximum, shares),
    "stacked": lambda shares: np.stack(shares, axis=-1),
    "beside": lambda shares: np.concatenate(shares, axis=1),
    "below": lambda shares: np.concatenate(shares, axis=1).T,
}


# What stands at step t where a quantity of all steps, and its initial value, is read otherwise.
_ELSEWHERE: dict[str, Callable[[Any, str, int, Array], Array]] = {
    "wrapped": lambda steps, q, t, start: steps[t - 1][q],  # at t = 0 that is the last step
    "initial": lambda steps, q, t, start: start,
    "zeroed": lambda steps, q, t, start: steps[t - 1][q] if t else np.zeros_like(start),
    "late": lambda steps, q, t, start: steps[t][q] if t else start,
    "after": lambda steps, q, t, start: steps[t + 1][q] if t else start,
    "early": lambda steps, q, t, start: [start, *(step[q] for step in steps)][t - 1],
    "early zeroed": lambda steps, q, t, start: (  # what stands last there is not filled yet
        [np.zeros_like(start), start, *(step[q] for step in steps)][t]
    ),
    "first": lambda steps, q, t, start: steps[0][q],
    "any": lambda steps, q, t, start: functools.reduce(np.maximum, [step[q] for step in steps]),
    "last": lambda steps, q, t, start: steps[-1][q],
    "reversed": lambda steps, q, t, start: (  # da_next in a loop that rises
        steps[t - 1][q.replace("_next", "_prev")] if t else np.zeros_like(steps[t][q])
    ),
    "example": lambda steps, q, t, start: np.stack([s[q][:, t] for s in steps], axis=-1),
    "feature": lambda steps, q, t, start: np.stack([s[q][t] for s in steps], axis=-1),
}


class Values:
    """The values of expressions on a truth: at step t, or (t None) over all steps. They are kept."""

    def __init__(self, truth: Truth):
        self.truth = truth
        self.fixed = {**truth.problem.parameters, **truth.problem.sizes}
        self.derived = derived(truth.table)
        self.steps = truth.steps
        if truth.conventions.counting is None:  # what comes from above takes its place
            above = np.moveaxis(truth.problem.dA, -1, 0)
            self.steps = [s | {"da_y": da} for s, da in zip(truth.steps, above, strict=True)]
        self._kept: dict[tuple[int | None, Expression], Array] = {}

    def of(self, expression: Expression, t: int | None) -> Array:
        """Return the value, or None where the expression has none: shapes that do not fit."""
        key = t, expression
        if key not in self._kept:
            try:
                self._kept[key] = self._compute(expression, t)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                self._kept[key] = None
        return self._kept[key]

    def _compute(self, expression: Expression, t: int | None) -> Array:
        operation = expression.operation
        if operation == "quantity":
            return self.quantity(expression.name, t)
        if operation == "number":
            return expression.value
        if t is None and operation in OVER_TIME:
            steps = range(1 if operation == "first" else self.truth.problem.T)
            values = [self.of(expression.operands[0], s) for s in steps]
        else:
            values = [self.of(operand, t) for operand in expression.operands]
        if any(value is None for value in values):
            return None
        return (
            OVER_TIME[operation](values)
            if t is None and operation in OVER_TIME
            else _apply(operation, values)
        )

    def quantity(self, name: str, t: int | None) -> Array:
        """Return a quantity, at step t or as `_moved` says; KeyError where there is none."""
        if name in self.fixed:
            return self.fixed[name]
        if t is None:
            raise KeyError(name)
        base, _, at = name.partition("@")
        if base in self.derived and not at:
            return self.of(self.derived[base], t)
        return self._moved(base, at, t) if at else self.steps[t][name]

    def _moved(self, base: str, at: str, t: int) -> Array:
        steps, initial = self.steps, self.truth.initial
        if at.startswith("carried_"):  # in the place of a state: it begins with that one's start
            return steps[t - 1][base] if t else initial[at.removeprefix("carried_")]
        if at == "mirrored":  # of two things that are gone through, one is not turned round
            return self.quantity(base, len(steps) - 1 - t)
        if at in _ELSEWHERE:
            return _ELSEWHERE[at](steps, base, t, initial.get(base))
        s = t + int(at)
        if s == -1 and base in initial:
            return initial[base]
        if s >= len(steps) and base[:1] == "d":
            return np.zeros_like(steps[t][base])
        return steps[s][base]


def _apply(operation: str, values: Sequence[Array]) -> Array:
    function = MISTAKEN.get(operation) or _OPERATORS.get(operation) or PRIMITIVES[operation]
    return function(*values)


def same(value: Array, theirs: Array, scale: float) -> bool:
    """Return whether two numbers are equal to rounding, relative to `scale`; NaN equals NaN."""
    value, theirs = np.asarray(value), np.asarray(theirs)
    if value.size == theirs.size == 1:
        value, theirs = value.reshape(()), theirs.reshape(())
    if value.shape != theirs.shape:
        return False
    difference = np.abs(value - theirs)
    if np.isfinite(difference).all():
        return bool(np.max(difference, initial=0.0) <= ROUNDING * scale)
    finite = np.isfinite(theirs)
    if not np.array_equal(finite, np.isfinite(value)):
        return False
    odd = np.array_equal(value[~finite], theirs[~finite], equal_nan=True)
    return odd and bool(np.max(difference[finite], initial=0.0) <= ROUNDING * scale)


def scale_of(*arrays: Array) -> float:
    """Return the largest finite entry's size."""
    sizes = (np.abs(array[np.isfinite(array)]) for array in map(np.asarray, arrays))
    return float(max(np.max(size, initial=0.0) for size in sizes))
