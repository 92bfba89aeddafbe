"""What a formula would repeat, or hold in the middle of a sum, gets cells of its own.

A softmax divides by the same sum in every entry of a column, and subtracts the same largest logit in
every term of it; written out in each formula that is n_y² references, with cells of its own it is n_y.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unrolled.equations.entries import OVER, Index, Scalar
from unrolled.notation import Shape

Array = Any
_MEANING = {
    "sum": "a sum that more than one entry needs",
    "largest": "the largest, subtracted so that no exponential overflows",
}


@dataclass(frozen=True)
class OnTheWay:
    """Numbers on the way to a quantity: `name` is no identifier, so it is no quantity's."""

    name: str
    meaning: str
    shape: Shape
    entry: Scalar


def split(name: str, entry: Scalar, shape: Shape) -> tuple[list[OnTheWay], Scalar]:
    """Return what is to be computed on the way to a quantity, in order, and its entry made from that."""
    splitting = _Splitting(name, shape)
    rest = splitting.rest(entry)
    return splitting.found, rest


class _Splitting:
    def __init__(self, name: str, shape: Shape):
        self.name = name
        self.axes = {i: axis for i, axis in zip("ij", shape, strict=True) if axis != 1}
        self.found: list[OnTheWay] = []
        self.known: dict[Scalar, Scalar] = {}

    def rest(self, scalar: Scalar, around: Mapping[str, str | int] | None = None) -> Scalar:
        """Return a number with entries in the places of what has cells of its own; `around` has the
        indices, with their axes, of the sums that it stands in.
        """
        around = around or {}
        if (same := _plain(scalar)) in self.known:
            return self.known[same]
        if scalar.operation == "call":
            return self._call(scalar, around)
        if scalar.operation in OVER:
            if around or _free(scalar) < set(self.axes):
                return self._own(scalar, around, _MEANING[scalar.operation])
            around = {**around, scalar.name: scalar.axis}
        return replace(scalar, operands=tuple(self.rest(x, around) for x in scalar.operands))

    def _call(self, scalar: Scalar, around: Mapping[str, str | int]) -> Scalar:
        """A function's operand occurs in it more than once."""
        of, meant = scalar.operands
        if of.operation not in ("entry", "number"):
            of = self._own(of, around, f"what {scalar.name} is taken of")
        return replace(scalar, operands=(of, self.rest(meant, around)))

    def _own(self, scalar: Scalar, around: Mapping[str, str | int], meaning: str) -> Scalar:
        """Give a number cells of its own: a row for one of its indices, a column for another."""
        axes, free = {**self.axes, **around}, sorted(_free(scalar))
        inner = [index for index in free if index != "j"]
        if len(free) > 2 or len(inner) > 2:  # a plane has two axes: it stays as it is
            return self._kept(scalar, around)
        row: Index = inner[0] if inner else 0
        column: Index = "j" if "j" in free else inner[1] if len(inner) > 1 else 0
        made = self._kept(scalar, {} if scalar.operation not in OVER else around)
        name = f"{self.name}.{len(self.found)}"
        shape = (axes.get(str(row), 1), axes.get(str(column), 1))
        there = {index: to for index, to in ((row, "i"), (column, "j")) if index != 0}
        self.found.append(OnTheWay(name, meaning, shape, made.placed(there)))
        own = Scalar("entry", name=name, at=(row, column))
        self.known[_plain(scalar)] = own
        return own

    def _kept(self, scalar: Scalar, around: Mapping[str, str | int]) -> Scalar:
        if scalar.operation in OVER:
            around = {**around, scalar.name: scalar.axis}
        return replace(scalar, operands=tuple(self.rest(x, around) for x in scalar.operands))


def _free(scalar: Scalar) -> set[str]:
    """Return the indices of a number, without those of the sums in it."""
    of = (_free(operand) for operand in scalar.operands)
    own = {index for index in scalar.at if isinstance(index, str)}
    if scalar.operation == "entry":
        return own
    return set().union(*of) - ({scalar.name} if scalar.operation in OVER else set())


def _plain(scalar: Scalar) -> Scalar:
    """Return the same number with the indices of its sums called by their order, to be compared."""
    over = dict.fromkeys(node.name for node in scalar.nodes() if node.operation in OVER)
    return scalar.placed({name: f"Σ{n}" for n, name in enumerate(over)})


def values(
    scalar: Scalar, of: Callable[[Scalar], Array], sizes: Mapping[str, int], shape: tuple[int, int]
) -> Array:
    """Return a number for all rows i and columns j; `of(entry)` is the array that an entry is of."""

    def value(node: Scalar, where: Mapping[Index, Any]) -> Array:
        if node.operation == "entry":
            row, column = (where.get(index, index) for index in node.at)
            return of(node)[row, column]
        if node.operation == "number":
            return node.value
        if node.operation == "call":
            return value(node.operands[-1], where)
        if node.operation in OVER:
            terms = range(sizes[str(node.axis)])
            found = [value(node.operands[0], {**where, node.name: k}) for k in terms]
            return functools.reduce(_FUNCTIONS[node.operation], found)
        return _FUNCTIONS[node.operation](*(value(operand, where) for operand in node.operands))

    rows, columns = np.ogrid[: shape[0], : shape[1]]
    with np.errstate(all="ignore"):
        return np.broadcast_to(value(scalar, {"i": rows, "j": columns}), shape)


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "negative": np.negative, "square": np.square, "exp": np.exp, "log": np.log, "log1p": np.log1p,
    "tanh": np.tanh, "where": np.where, "less": np.less, "at_most": np.less_equal,
    "sum": np.add,
    "largest": np.maximum,
}  # fmt: skip
