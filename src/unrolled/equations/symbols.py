"""Quantities without numbers: running a cell on symbols writes its equations down.

A symbol knows its shape in names, (n_a, m), and how it was made. Shapes are checked at every
operation, so a transposed array is found even where sizes happen to be equal.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from unrolled import activations, functions
from unrolled.errors import UnrolledError
from unrolled.notation import Shape, shape_text

_ALLOWED = "a cell may say @ .T + - * / **2 and the functions of unrolled.functions"
_OWN_FILES = frozenset({__file__, functions.__file__, activations.__file__})
_NOUNS = {"add": "sum", "subtract": "difference", "multiply": "∘ product", "divide": "quotient"}
_serial = itertools.count()


class EquationError(UnrolledError):
    """A cell says what it may not say, or its shapes do not fit."""


class Symbol:
    """A node of an expression: a named quantity, a number, or an operation on other nodes.

    `operation` is "quantity", "number", an operator's name or that of a function of
    `unrolled.functions`; `line` is the cell's line that made it, `serial` the order of making.
    """

    __slots__ = ("line", "name", "operands", "operation", "serial", "shape", "value")

    def __init__(
        self, operation: str, operands: tuple["Symbol", ...] = (), shape: Shape = (),
        name: str = "", value: float = 0.0, line: int = 0,
    ):  # fmt: skip
        self.operation = operation
        self.operands = operands
        self.shape = shape
        self.name = name
        self.value = value
        self.line = line
        self.serial = next(_serial)

    @classmethod
    def quantity(cls, name: str, shape: Shape) -> "Symbol":
        """Return a leaf: the quantity `name`."""
        return cls("quantity", shape=shape, name=name)

    def record(self, operation: str, rule: str, operands: tuple[Any, ...]) -> "Symbol":
        """Write down a function of `unrolled.functions`; `rule` says what becomes of the shape."""
        symbols = tuple(_symbol(operand) for operand in operands)
        shape = symbols[0].shape
        for other in symbols[1:]:
            shape = _broadcast(operation, shape, other.shape)
        if rule == "over m":
            shape = (shape[0], 1)
        elif rule == "over n":
            shape = (1, shape[1])
        return Symbol(operation, symbols, shape, line=_cell_line())

    def __matmul__(self, other: Any) -> "Symbol":
        return _product(self, _symbol(other))

    def __rmatmul__(self, other: Any) -> "Symbol":
        return _product(_symbol(other), self)

    @property
    def T(self) -> "Symbol":  # noqa: N802 - the name is that of an array's transpose
        return Symbol("transpose", (self,), self.shape[::-1], line=_cell_line())

    def __add__(self, other: Any) -> "Symbol":
        return self.record("add", "same shape", (self, other))

    def __radd__(self, other: Any) -> "Symbol":
        return self.record("add", "same shape", (other, self))

    def __sub__(self, other: Any) -> "Symbol":
        return self.record("subtract", "same shape", (self, other))

    def __rsub__(self, other: Any) -> "Symbol":
        return self.record("subtract", "same shape", (other, self))

    def __mul__(self, other: Any) -> "Symbol":
        return self.record("multiply", "same shape", (self, other))

    def __rmul__(self, other: Any) -> "Symbol":
        return self.record("multiply", "same shape", (other, self))

    def __truediv__(self, other: Any) -> "Symbol":
        return self.record("divide", "same shape", (self, other))

    def __rtruediv__(self, other: Any) -> "Symbol":
        return self.record("divide", "same shape", (other, self))

    def __neg__(self) -> "Symbol":
        return self.record("negative", "same shape", (self,))

    def __pow__(self, exponent: Any) -> "Symbol":
        if exponent != 2:
            raise EquationError(
                f"{_described(self)} is raised to the power {exponent!r}: {_ALLOWED}"
            )
        return self.record("square", "same shape", (self,))

    def leaves(self) -> Iterator["Symbol"]:
        """Yield every quantity the expression is made from, from left to right."""
        if self.operation == "quantity":
            yield self
        for operand in self.operands:
            yield from operand.leaves()

    def operations(self) -> Iterator[str]:
        """Yield the operation of every node."""
        yield self.operation
        for operand in self.operands:
            yield from operand.operations()

    def with_names(self, names: dict[int, str]) -> "Symbol":
        """Return the expression with every node whose id is in `names` replaced by that quantity."""
        operands = tuple(
            Symbol.quantity(names[id(operand)], operand.shape)
            if id(operand) in names and operand.operation != "quantity"
            else operand.with_names(names)
            for operand in self.operands
        )
        return Symbol(self.operation, operands, self.shape, self.name, self.value, self.line)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise EquationError(f"{_described(self)} has no .{name} here: {_ALLOWED}")

    def __array_ufunc__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def __array_function__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def _refuse_numpy(self, name: str) -> NoReturn:
        raise EquationError(f"{_described(self)} is given to a NumPy function, {name}: {_ALLOWED}")

    def __repr__(self) -> str:
        return f"Symbol({_described(self)}, {shape_text(self.shape)})"


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Symbol, *_: Any, **__: Any) -> NoReturn:
        raise EquationError(f"{_described(self)} {what}: {_ALLOWED}")

    return refuse


for _names, _what in {
    "bool": "is asked whether it is true (by if, and, or, not, while), and has no numbers",
    "iadd isub imul imatmul itruediv ipow": "is changed in place (+=, -=, …), write a new name instead",
    "setitem delitem": "has a slice assigned, and equations do not assign to parts",
    "getitem iter len": "is indexed, and equations are about whole quantities",
    "float int complex index array format": "is asked for its numbers, and has none",
    "lt le gt ge eq ne": "is compared, write where(positive(z), …) instead",
    "rpow mod rmod floordiv rfloordiv abs": "meets an operator that is not among the equations'",
}.items():
    for _name in _names.split():
        setattr(Symbol, f"__{_name}__", _refuse(_what))
Symbol.__hash__ = object.__hash__  # type: ignore[method-assign]  # comparing is refused, being a key is not


def _described(symbol: Symbol) -> str:
    """Name an expression in a sentence: by its name, or by what it is made from."""
    if symbol.operation == "quantity":
        return symbol.name
    of = ", ".join(dict.fromkeys(leaf.name for leaf in symbol.leaves()))
    line = f" in line {symbol.line}" if symbol.line else ""
    return f"the {_NOUNS.get(symbol.operation, symbol.operation)} of {of or 'numbers'}{line}"


def _symbol(value: Any) -> Symbol:
    if isinstance(value, Symbol):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Symbol("number", value=float(value))
    raise EquationError(
        f"{type(value).__name__} stands in an equation: expected quantities and numbers"
    )


def _product(left: Symbol, right: Symbol) -> Symbol:
    if len(left.shape) != 2 or len(right.shape) != 2 or left.shape[1] != right.shape[0]:
        raise EquationError(
            f"{_described(left)} {shape_text(left.shape)} @ {_described(right)} "
            f"{shape_text(right.shape)}: the inner axes of a product have to be the same"
        )
    shape = (left.shape[0], right.shape[1])
    return Symbol("product", (left, right), shape, line=_cell_line())


def _broadcast(operation: str, left: Shape, right: Shape) -> Shape:
    """Equal axes stay, 1 stretches, a number fits everything."""
    if not left or not right:
        return left or right
    for a, b in zip(left, right, strict=True):
        if a != b and 1 not in (a, b):
            raise EquationError(
                f"{operation} of {shape_text(left)} and {shape_text(right)} in line {_cell_line()}: "
                f"{a} does not fit {b}"
            )
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


def _cell_line() -> int:
    """The line that is being run in the file that says the equation."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename in _OWN_FILES:
        frame = frame.f_back
    return frame.f_lineno
