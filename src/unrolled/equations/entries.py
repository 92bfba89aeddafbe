"""An equation for one entry: what z_a[i, j] is a sum of, in numbers that a hand can follow.

A recorded equation is about whole matrices. Run on grids, which know how to make any of their entries,
it says what entry (i, j) is: sums over k, and scalar operations. Spreadsheet formulas, the page's
sums and its recomputation after an edit are all made from these.
"""

import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from unrolled.equations.expressions import Expression
from unrolled.equations.table import Equation, Table
from unrolled.functions import PRIMITIVES, with_operators
from unrolled.notation import Shape

Index = str | int  # "i", "j", "k", … or 0 where there is one row or column only

# Of a link: at which step its operand stands, and what takes its place where there is no such step.
LINKED = {"previous": "t-1", "next": "t+1", "first": "0", "over_time": "t"}
OVER = ("sum", "largest")  # what goes over an axis


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number: an entry of a quantity, a constant, or an operation on other numbers.

    `operation` is "entry" (of `name`, at row and column `at`, at step `step`), "number", "sum" or
    "largest" (of its operand, for index `name` over axis `axis`), "call" (the function `name` of all
    operands but the last, which says what that is), or the name of a scalar operation.
    """

    operation: str
    operands: tuple["Scalar", ...] = ()
    name: str = ""
    value: float = 0.0
    at: tuple[Index, Index] = (0, 0)
    step: str = "t"
    axis: str | int = 1

    def nodes(self) -> Iterator["Scalar"]:
        """Yield the number and all that it is made from."""
        yield self
        for operand in self.operands:
            yield from operand.nodes()

    def placed(self, where: Mapping[Index, Index]) -> "Scalar":
        """Return the same with other indices, or numbers, for some; "t" is the index of a sum over steps."""
        i, j = (where.get(index, index) for index in self.at)
        step = str(where.get(self.step, self.step))
        operands = self.operands and tuple(operand.placed(where) for operand in self.operands)
        name = str(where.get(self.name, self.name)) if self.operation in OVER else self.name
        return Scalar(self.operation, operands, name, self.value, (i, j), step, self.axis)


_serial = itertools.count()


@with_operators
class Grid:
    """A matrix as its entries: `entry(i, j)` makes one. What operators and functions do to arrays
    they do to grids, so that a recorded equation can be run on them.
    """

    functions: Any = None  # in the place of NumPy's, below

    def __init__(self, shape: Shape, entry: Callable[[Index, Index], Scalar]):
        self.shape, self.entry = shape, entry

    @classmethod
    def of(cls, name: str, shape: Shape, step: str = "t") -> "Grid":
        """Return the grid of a quantity; an axis of 1 has no index."""

        def entry(i: Index, j: Index) -> Scalar:
            at = (0 if shape[0] == 1 else i, 0 if shape[1] == 1 else j)
            return Scalar("entry", name=name, at=at, step=step)

        return cls(shape, entry)

    def record(self, function: str, rule: str, operands: tuple[Any, ...]) -> "Grid":
        """Run a function of `unrolled.functions`; what works entry by entry keeps its name."""
        meant: Grid = PRIMITIVES[function].__wrapped__(*operands)  # type: ignore[attr-defined]
        if rule != "same shape" or len(operands) > 1:
            return meant
        alone = PRIMITIVES[function].__wrapped__(Grid.of("z", self.shape)).entry("i", "j")  # type: ignore[attr-defined]
        plain = alone.operation in ("less", "tanh") or _reaches_over(alone)

        def entry(i: Index, j: Index) -> Scalar:
            made, of = meant.entry(i, j), self.entry(i, j)
            return made if plain else Scalar("call", (of, made), name=function)

        return Grid(meant.shape, entry)

    def run(self, function: Callable[..., Any], *operands: Any) -> "Grid":
        """Do to each entry what an operator does."""
        if function is operator.pow:
            return _each("square", operands[0])
        name = {"truediv": "divide", "sub": "subtract", "mul": "multiply", "neg": "negative"}
        return _each(name.get(function.__name__, function.__name__), *operands)

    def __matmul__(self, other: "Grid") -> "Grid":
        axis = self.shape[1]

        def entry(i: Index, j: Index) -> Scalar:
            def product(k: Index) -> Scalar:
                return Scalar("multiply", (self.entry(i, k), other.entry(k, j)))

            return _over("sum", axis, product)

        return Grid((self.shape[0], other.shape[1]), entry)

    @property
    def T(self) -> "Grid":  # noqa: N802 - the name is that of an array's transpose
        return Grid(self.shape[::-1], lambda i, j: self.entry(j, i))

    def __lt__(self, other: Any) -> "Grid":
        return _each("less", self, other)

    def __gt__(self, other: Any) -> "Grid":
        return _each("less", other, self)

    def __le__(self, other: Any) -> "Grid":
        return _each("at_most", self, other)


def _reaches_over(scalar: Scalar) -> bool:
    """Whether a number is made from more than one entry of a column, as softmax is."""
    return scalar.operation in OVER or any(map(_reaches_over, scalar.operands))


def _each(operation: str, *operands: Any) -> Grid:
    """Return a scalar operation entry by entry; operands are broadcast."""
    grids = [x if isinstance(x, Grid) else _number(x) for x in operands]
    shape: list[str | int] = [1, 1]
    for grid in grids:
        shape = [b if a == 1 else a for a, b in zip(shape, grid.shape, strict=True)]

    def entry(i: Index, j: Index) -> Scalar:
        parts = (g.entry(0 if g.shape[0] == 1 else i, 0 if g.shape[1] == 1 else j) for g in grids)
        return Scalar(operation, tuple(parts))

    return Grid(tuple(shape), entry)


def _number(value: float) -> Grid:
    return Grid((1, 1), lambda i, j: Scalar("number", value=float(value)))


def _over(operation: str, axis: str | int, made: Callable[[Index], Scalar]) -> Scalar:
    """Return the sum, or the largest, of what `made` gives for each index of an axis."""
    if axis == 1:
        return made(0)
    k = f"k{next(_serial)}"
    return Scalar(operation, (made(k),), name=k, axis=axis)


def _reduced(operation: str) -> Callable[..., Grid]:
    def reduced(z: Grid, axis: int, keepdims: bool) -> Grid:
        rows, columns = z.shape
        if axis == 0:
            return Grid((1, columns), lambda i, j: _over(operation, rows, lambda k: z.entry(k, j)))
        return Grid((rows, 1), lambda i, j: _over(operation, columns, lambda k: z.entry(i, k)))

    return reduced


def _named(operation: str) -> Callable[..., Grid]:
    return lambda *operands: _each(operation, *operands)


Grid.functions = SimpleNamespace(
    tanh=_named("tanh"), exp=_named("exp"), log=_named("log"), log1p=_named("log1p"),
    where=_named("where"), real=lambda z: z, sum=_reduced("sum"), amax=_reduced("largest"),
)  # fmt: skip


def entry_of(expression: Expression, shapes: Mapping[str, Shape]) -> Scalar:
    """Return what entry (i, j) of an expression is, with indices "i", "j" and, in sums, "k", "k1", …"""
    if expression.operation in LINKED:
        of, step = expression.operands[0].name, LINKED[expression.operation]
        entry = Grid.of(of, expression.shape, step).entry("i", "j")
        summed = expression.operation == "over_time"
        return Scalar("sum", (entry,), name="t", axis="T") if summed else entry
    known = {name: Grid.of(name, shape) for name, shape in shapes.items()}
    grid: Grid = expression.value_of(known)
    i, j = (0 if axis == 1 else index for axis, index in zip(grid.shape, "ij", strict=True))
    return _numbered(grid.entry(i, j))


def _numbered(scalar: Scalar) -> Scalar:
    """Return the same with the indices of its sums called k, k1, … in their order."""
    used = dict.fromkeys(node.name for node in scalar.nodes() if node.operation in OVER)
    return scalar.placed({old: f"k{n or ''}" for n, old in enumerate(used)})


def entry_equation(table: Table, equation: Equation) -> Scalar:
    """Return what entry (i, j) of an equation's left side is."""
    return entry_of(equation.expression, table.shapes)
