"""What a crash on shapes is about: both operands with their axes in the legend's words, the axes
that clash, what the equation does there, and which edit of it fails in the same way.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from unrolled.checking.problems import Truth
from unrolled.checking.replay.edits import ZERO, Edit, Scope, edits
from unrolled.checking.replay.forms import forms
from unrolled.checking.replay.saying import EditPrinter, Sayer
from unrolled.checking.replay.values import Values
from unrolled.checking.report import Cause
from unrolled.equations.expressions import Expression
from unrolled.notation import Shape, shape_text

Operand = tuple[str | None, tuple[int, ...]]
_OPERATIONS = {
    "matmul": ("product",),
    "dot": ("product",),
    "add": ("add", "subtract"),
    "subtract": ("subtract", "add"),
    "multiply": ("multiply",),
    "divide": ("divide",),
}
_WORDS = {"matmul": "times", "dot": "times", "add": "plus", "subtract": "minus", "multiply": "∘",
          "divide": "over", "store": "into", "concatenate": "beside"}  # fmt: skip


def name_shape_error(
    quantity: str, truth: Truth, operation: str, operands: Sequence[Operand]
) -> Cause:
    """Return why an operation failed on its operands' shapes.

    `operation` is "matmul", "dot", "add", "subtract", "multiply", "divide", "store" (what is stored,
    then its place) or "concatenate"; each operand comes as its name in the legend, or None, and its
    shape. The certainty is "exact" where an operand has a shape that its quantity cannot have, or
    where an edit of the equation fails on the same shapes; else "pattern".
    """
    crash = _Crash(quantity, truth, operation, operands)
    for name, shape in operands:
        if found := crash.misshapen(name, shape):
            return crash.cause(*found, "exact")
    if edit := next(crash.failing(), None):
        said = crash.sayer.phrase(edit)
        return crash.cause(
            edit.id, said[:1].upper() + said[1:], "exact", crash.sayer.equation(edit.whole)
        )
    return crash.cause("shapes", crash.strange(), "pattern")


class _Crash:
    def __init__(
        self, quantity: str, truth: Truth, operation: str, operands: Sequence[Operand]
    ):  # fmt: skip
        self.truth, self.operation, self.operands = truth, operation, operands
        self.sizes = truth.problem.sizes
        self.printer = EditPrinter(truth.table)
        self.forms = [form for depth in forms(quantity, truth, total=False) for form in depth]
        own = self.forms[0] if self.forms else ZERO
        self.sayer = Sayer(truth.table, quantity, total=False, own=own)

    def cause(self, kind: str, why: str, certainty: str, equation: str = "") -> Cause:
        """Return the cause: the operands, the clash, why, and what the equation has there."""
        word = f" {_WORDS.get(self.operation, self.operation)} "
        sentences = [
            word.join(self._described(*operand) for operand in self.operands) + self._clash()
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

    def strange(self) -> str:
        """Return which operand is no quantity of the equation, in whatever form."""
        known = frozenset().union(*(form.names for form in self.forms))
        names = [name for name, _ in self.operands if name and name not in known]
        return f"{self.printer.name(names[0])} is not in this equation" if names and known else ""

    def failing(self) -> Iterator[Edit]:
        """Yield the edits of the equation that fail in this operation on these shapes."""
        values = Values(self.truth)
        t = min(1, self.truth.problem.T - 1)
        kinds = _OPERATIONS.get(self.operation, ())
        shapes = [shape for _, shape in self.operands]
        for form in self.forms:
            for edit in sorted(
                edits(form, Scope.around(form, self.truth.table)), key=lambda e: e.cost
            ):
                with np.errstate(all="ignore"):
                    if any(
                        node.operation in kinds and self._fails(node, values, t, shapes)
                        for node in edit.whole.nodes()
                    ):
                        yield edit

    def _fails(
        self, node: Expression, values: Values, t: int, shapes: Sequence[tuple[int, ...]]
    ) -> bool:
        found = [values.of(operand, t) for operand in node.operands]
        if any(value is None for value in found) or values.of(node, t) is not None:
            return False
        names = {name for name, _ in self.operands if name}
        return [np.shape(value) for value in found] == [*shapes] and names <= node.names

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
        if len(self.operands) != 2 or not all(shape for _, shape in self.operands):
            return ": the shapes do not go together"
        (_, left), (_, right) = self.operands
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
        named = {name for name, _ in self.operands if name}
        for node in products:
            if named & node.names or not named:
                left, right = (shape_text(operand.shape) for operand in node.operands)
                return f"which multiplies {left} by {right}"
        return f"which is {shape_text(self.forms[0].shape)}"


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
