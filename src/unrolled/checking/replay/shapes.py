"""What a crash on shapes is about: both operands with their axes in the legend's words, the axes
that clash, what the equation does there, and which edit of it fails in the same way.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.checking.problems import Truth
from unrolled.checking.replay.edits import ZERO, Edit, Scope, edits
from unrolled.checking.replay.forms import forms, joined_gradients
from unrolled.checking.replay.naming import find
from unrolled.checking.replay.saying import EditPrinter, Sayer
from unrolled.checking.replay.values import Array, Values, Witness, same, scale_of
from unrolled.checking.report import Cause
from unrolled.equations.expressions import Expression
from unrolled.notation import Shape, shape_text


class Operand(NamedTuple):
    """What met in an operation that failed: its name in the legend, if known, its shape, its value."""

    name: str | None
    shape: tuple[int, ...]
    value: Array = None


_OPERATIONS = {
    "matmul": ("product",),
    "dot": ("product",),
    "add": ("add", "subtract"),
    "subtract": ("subtract", "add"),
    "multiply": ("multiply",),
    "divide": ("divide",),
}
SIMPLE = 1.2  # the cost of an edit that may be one of two
_WORDS = {"matmul": "times", "dot": "times", "add": "plus", "subtract": "minus", "multiply": "∘",
          "divide": "over", "store": "into", "concatenate": "beside"}  # fmt: skip


def name_shape_error(
    quantity: str, truth: Truth, operation: str, operands: Sequence[Operand], t: int | None = None,
    columns: bool = True,
) -> Cause:  # fmt: skip
    """Return why an operation failed on its operands' shapes.

    `operation` is "matmul", "dot", "add", "subtract", "multiply", "divide", "store" (what is stored,
    then its place), "concatenate" or "call"; `columns` is False where theirs has the legend's
    matrices transposed. The certainty is "exact" where an operand has a shape that its quantity cannot
    have, or where an edit of the equation fails on the same operands, or gives one of them; else
    "pattern".
    """
    crash = _Crash(quantity, truth, operation, operands, t, columns)
    for name, shape, _ in crash.turned:
        if found := crash.misshapen(name, shape):
            return crash.cause(*found, "exact")
    if operation == "store" and operands[0].name not in (None, quantity):
        return crash.cause("neighbour", crash.another(), "exact")
    if edited := crash.edited():
        return crash.said(edited, "exact")
    if alike := crash.of_shape():
        sure = len({failed.key for _, failed in alike}) == 1
        return crash.said([alike[0][0]], "exact" if sure else "pattern")
    return crash.cause("shapes", crash.strange(), "pattern")


class _Crash:
    def __init__(
        self, quantity: str, truth: Truth, operation: str, operands: Sequence[Operand],
        t: int | None, columns: bool,
    ):  # fmt: skip
        self.quantity, self.truth = quantity, truth
        self.operation, self.operands = operation, [Operand(*operand) for operand in operands]
        self.t = min(1, truth.problem.T - 1) if t is None else t
        self.turned = self.operands if columns else [_turned(one) for one in self.operands]
        if operation in ("matmul", "dot") and not columns:
            self.turned.reverse()
        self.values, self.sizes = Values(truth), truth.problem.sizes
        self.printer = EditPrinter(truth.table)
        depths = forms(quantity, truth, total=False)
        self.forms = [form for depth in depths for form in depth]
        self.near = [form for depth in depths[:2] for form in depth]
        self.forms += joined_gradients(quantity, truth.table)
        own = self.forms[0] if self.forms else ZERO
        self.sayer = Sayer(truth.table, quantity, total=False, own=own)

    def cause(self, kind: str, why: str, certainty: str, equation: str = "") -> Cause:
        """Return the cause: the operands, the clash, why, and what the equation has there."""
        word = f" {_WORDS.get(self.operation, self.operation)} "
        sentences = [
            word.join(self._described(name, shape) for name, shape, _ in self.operands)
            + self._clash()
        ]
        sentences += [why] if why else []
        if self.forms:
            sentences.append(
                f"Right is {self.sayer.equation(self.forms[0])}, {self._right_shapes()}"
            )
        return Cause(kind, certainty, ". ".join(sentences) + ".", equation)

    def misshapen(self, name: str | None, shape: tuple[int, ...]) -> tuple[str, str] | None:
        """Return what is wrong with a named operand's own shape, None where it has the right one."""
        expected = self.truth.table.shapes.get(name or "")
        if name is None or expected is None or shape == self._numbers(expected):
            return None
        n, m = self._numbers(expected)
        T = self.sizes["T"]
        text, right = self.printer.name(name), shape_text(expected)
        if shape == (m, n) and name in self.truth.table.step.parameters:
            return None  # which way round weights are is theirs to choose
        if shape == (m, n):
            return "transposed", f"{text} is transposed: {right} is expected"
        if shape in ((n, m, T), (n, m, T + 1)):
            return "not_sliced", f"{text} has all steps at once: one step, {right}, is expected"
        if shape in ((n, T), (n, T + 1)):
            return "axes_mixed", (
                f"{text} is one sequence with all its steps, as the index [:, t, :] takes it: "
                f"step t of all sequences, [:, :, t], {right}, is expected"
            )
        if shape == (m, T):
            return "axes_mixed", f"{text} is cut along its first axis: {right} is expected"
        if shape in ((n,), (m,)) and 1 in (n, m):
            return "flat", (
                f"{text} has one axis, which is laid along the last one: {right} is expected"
            )
        if len(shape) == 2 and shape[1] == m and shape[0] > n:
            return "not_sliced", f"{text} has {self._axis(shape[0])} rows: {right} is expected"
        return "other_shape", f"{text} is {self._axes(shape)}: {right} is expected"

    def another(self) -> str:
        """Return which quantity is stored in the place of the right one."""
        theirs, right = (self.printer.name(n) for n in (self.operands[0].name or "", self.quantity))
        return f"{theirs} stands where {right} belongs"

    def strange(self) -> str:
        """Return which operand is no quantity of the equation, in whatever form."""
        known = frozenset().union(*(form.names for form in self.near))
        names = [name for name, _, _ in self.operands if name and name not in known]
        return f"{self.printer.name(names[0])} is not in this equation" if names and known else ""

    def said(self, edited: Sequence[Edit], certainty: str) -> Cause:
        """Return the cause that edits of the equation are."""
        text = ", and ".join(dict.fromkeys(map(self.sayer.phrase, edited)))
        kinds = "+".join(dict.fromkeys(edit.id for edit in edited))
        equation = self.sayer.equation(edited[-1].whole)
        return self.cause(kinds, text[:1].upper() + text[1:], certainty, equation)

    def edited(self) -> Sequence[Edit]:
        """Return the edits of the equation that fail on these operands, or give one of them."""
        ways = ([edit] for edit in self._single() if self._failed(edit.whole))
        return next(ways, None) or self.given() or next(self._two(), [])

    def of_shape(self) -> list[tuple[Edit, Expression]]:
        """Return the edits that fail on operands of these shapes, and what fails in each."""
        failed = ((edit, self._failed(edit.whole, by_shape=True)) for edit in self._single())
        return [(edit, node) for edit, node in failed if node is not None]

    def _single(self) -> Iterator[Edit]:
        for form in self.forms:
            yield from self._edits(form)

    def _edits(self, form: Expression) -> list[Edit]:
        return sorted(edits(form, Scope.around(form, self.truth.table)), key=lambda e: e.cost)

    def _two(self) -> Iterator[list[Edit]]:
        """Yield two edits of which the second makes it fail: what stands there was changed before."""
        for one in self._single():
            if one.cost <= SIMPLE:
                both = (
                    (one, other) for other in self._edits(one.whole) if other.cost <= 2 * SIMPLE
                )
                yield from ([one, other] for one, other in both if self._failed(other.new))

    def _failed(self, whole: Expression, by_shape: bool = False) -> Expression | None:
        """Return what in an expression fails in this operation, on these operands or their shapes."""
        kinds = _OPERATIONS.get(self.operation, ())
        with np.errstate(all="ignore"):
            nodes = (node for node in whole.nodes() if node.operation in kinds)
            return next((node for node in nodes if self._node_fails(node, by_shape)), None)

    def _node_fails(self, node: Expression, by_shape: bool) -> bool:
        found = [self.values.of(operand, self.t) for operand in node.operands]
        if any(value is None for value in found) or self.values.of(node, self.t) is not None:
            return False
        if by_shape:
            met = zip(node.operands, self.turned, strict=True)
            named = all(theirs.name is None or theirs.name in own.names for own, theirs in met)
            return named and all(map(_has_shape, found, self.turned))
        return all(map(_is_like, found, self.turned))

    def given(self) -> tuple[Edit, ...]:
        """Return the edits of the whole equation that give an operand of a shape it cannot have."""
        right = self._numbers(self.forms[0].shape) if self.forms else ()
        for name, shape, value in self.turned:
            whole = name is None or self.operation == "call"
            if whole and value is not None and shape not in ((), right):
                witness = Witness(self.truth, self.t, value)
                if found := find(self.quantity, [witness], stretched=False):
                    return found[1]
        return ()

    def _numbers(self, shape: Shape) -> tuple[int, ...]:
        return tuple(axis if isinstance(axis, int) else self.sizes[axis] for axis in shape)

    def _described(self, name: str | None, shape: tuple[int, ...]) -> str:
        text = self.printer.name(name) if name else "an array"
        return f"{text} {self._axes(shape)}"

    def _axes(self, shape: tuple[int, ...]) -> str:
        return shape_text(tuple(map(self._axis, shape)))

    def _axis(self, size: int) -> str:
        return _axis_names(self.sizes).get(size, str(size))

    def _clash(self) -> str:
        """Which axes do not go together."""
        if len(self.operands) != 2 or not all(shape for _, shape, _ in self.operands):
            return ": the shapes do not go together"
        (_, left, _), (_, right, _) = self.operands
        if self.operation in ("matmul", "dot"):
            inner = left[-1], right[-2] if len(right) > 1 else right[0]
            return "" if inner[0] == inner[1] else f": the inner axes {self._pair(inner)} clash"
        for pair in itertools.zip_longest(left[::-1], right[::-1], fillvalue=1):
            if pair[0] != pair[1] and 1 not in pair:
                return f": the axes {self._pair(pair)} clash"
        return ": the shapes do not go together"

    def _pair(self, pair: tuple[int, int]) -> str:
        return f"{self._axis(pair[0])} and {self._axis(pair[1])}"

    def _right_shapes(self) -> str:
        """The shapes in the right equation's products, or that of its result."""
        products = [n for n in self.forms[0].nodes() if n.operation == "product"]
        named = {name for name, _, _ in self.operands if name}
        for node in products:
            if named & node.names or not named:
                left, right = (shape_text(operand.shape) for operand in node.operands)
                return f"which multiplies {left} by {right}"
        return f"which is {shape_text(self.forms[0].shape)}"


def _turned(operand: Operand) -> Operand:
    """The operand in the legend's layout, where theirs has rows for columns."""
    value = operand.value
    return Operand(
        operand.name, operand.shape[::-1], None if value is None else np.transpose(value)
    )


def _has_shape(value: Array, operand: Operand) -> bool:
    return bool(np.shape(value) == operand.shape)


def _is_like(value: Array, operand: Operand) -> bool:
    """Whether a value is the one that was seen."""
    if operand.value is None or not _has_shape(value, operand):
        return False
    return same(value, operand.value, scale_of(value, operand.value))


def _axis_names(sizes: Mapping[str, int]) -> dict[int, str]:
    """What a size may stand for: the legend's, or else a sum or a multiple of them."""
    n_x, n_a, m, T = (sizes[name] for name in ("n_x", "n_a", "m", "T"))
    found = {
        4 * n_a: "4 n_a",
        3 * n_a: "3 n_a",
        m * T: "m T",
        T + 1: "T + 1",
        n_a + n_x: "n_a + n_x",
    }
    return found | {size: name for name, size in sizes.items()}
