"""Two edits in one equation, found from both sides.

To try every pair would take hours. Where an operation can be undone, the number that was seen says
what the other operand has to be: theirs = l + r, so for each edited r only l = theirs − r will do.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.checking.replay.edits import ONE, ZERO, Edit, Scope, edits
from unrolled.checking.replay.values import Array, Values, scale_of
from unrolled.equations.expressions import Expression, combined

# What the left, and the right, operand has to be, from the result and the other one.
_UNDONE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add": (lambda z, r: z - r, lambda z, x: z - x),
    "subtract": (lambda z, r: z + r, lambda z, x: x - z),
    "multiply": (lambda z, r: z / r, lambda z, x: z / x),
    "divide": (lambda z, r: z * r, lambda z, x: x / z),
}
_INVERSE: dict[str, Callable[[Array], Array]] = {
    "negative": np.negative,
    "transpose": np.transpose,
    "tanh": np.arctanh,
    "sigmoid": lambda a: np.log(a / (1 - a)),
    "over_time": lambda z: z,
}
_CLOSE = 1e-6  # a first look; each pair is then compared in full
_LOOKED_AT = 6  # entries

Pair = tuple[Edit, Edit]
Found = tuple[Edit, Edit, Expression]


def pairs(form: Expression, scope: Scope, values: Values, t: int | None, theirs: Array) -> Iterator[Pair]:  # fmt: skip
    """Yield pairs of edits that may give `theirs` at step t; the second holds the whole equation."""
    for one, other, whole in _Pairs(scope, values, t).of(form, np.asarray(theirs)):
        yield one, Edit(other.id, other.cost, other.old, other.new, whole, other.about)


class _Pairs:
    def __init__(self, scope: Scope, values: Values, t: int | None):
        self.scope, self.values, self.t = scope, values, t

    def of(self, node: Expression, target: Array) -> Iterator[tuple[Edit, Edit, Expression]]:
        if node.operation in _UNDONE:
            yield from self._both(node, target)
            yield from self._within(node, target)
        elif node.operation in _INVERSE and self.t is not None:
            (operand,) = node.operands
            for one, other, new in self.of(operand, _INVERSE[node.operation](target)):
                yield one, other, node.with_operands((new,))

    def _both(self, node: Expression, target: Array) -> Iterator[Found]:
        """One edit in each operand."""
        left, right = (self._edited(node, k, np.shape(target)) for k in (0, 1))
        if not left or not right:
            return
        rows = np.array([row for _, row in left])
        seen = _entries(target, np.shape(target))
        rounding = 1e-12 * scale_of(seen, *rows)
        for other, row in right:
            wanted = _UNDONE[node.operation][0](seen, row)
            near = np.abs(rows - wanted) <= _CLOSE * np.abs(wanted) + rounding
            for k in np.flatnonzero(near.all(axis=1)):
                one = left[k][0]
                yield one, other, _joined(node, one, other)

    def _within(self, node: Expression, target: Array) -> Iterator[Found]:
        """Both edits in the same operand."""
        for k, operand in enumerate(node.operands):
            value = self.values.of(node.operands[1 - k], self.t)
            if _entries(value, np.shape(target)) is None:
                continue
            inner = _UNDONE[node.operation][k](target, value)
            for one, other, new in self.of(operand, inner):
                if new is ZERO and node.operation == "add":
                    yield one, other, node.operands[1 - k]
                    continue
                operands = (new, node.operands[1]) if k == 0 else (node.operands[0], new)
                yield one, other, node.with_operands(operands)

    def _edited(self, node: Expression, k: int, shape: tuple[int, ...]) -> list[tuple[Edit, Array]]:
        """Every edit of an operand with a few of its entries; that it is missing is one of them."""
        operand = node.operands[k]
        found = [*edits(operand, self.scope)]
        if node.operation in ("add", "subtract"):
            found.insert(0, Edit("missing_term", 1.0, operand, ZERO, ZERO, operand))
        if node.operation == "multiply" or (node.operation, k) == ("divide", 1):
            found.insert(0, Edit("missing_factor", 1.0, operand, ONE, ONE, operand))
        rows = ((edit, _entries(self.values.of(edit.whole, self.t), shape)) for edit in found)
        return [(edit, row) for edit, row in rows if row is not None]


def _entries(value: Array, shape: tuple[int, ...]) -> Array:
    """A few entries of a value that is stretched to a shape; None where it does not fit."""
    if value is None or np.ndim(value) > len(shape):
        return None
    fits = all(a in (1, b) for a, b in zip(np.shape(value)[::-1], shape[::-1], strict=False))
    return np.resize(np.broadcast_to(value, shape), _LOOKED_AT) if fits else None


def _joined(node: Expression, one: Edit, other: Edit) -> Expression:
    """The operation on both edited operands; without one that is missing."""
    left, right = one.whole, other.whole
    if one.id in ("missing_term", "missing_factor") and left in (ZERO, ONE):
        if node.operation == "subtract":
            return Expression("negative", (right,), right.shape)
        return right if node.operation != "divide" else combined("divide", ONE, right)
    return left if right in (ZERO, ONE) else combined(node.operation, left, right)
