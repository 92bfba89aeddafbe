"""Quantities without numbers: running a cell on symbols writes its equations down.

A symbol knows its shape in names, (n_a, m), and what was done to make it. Shapes are checked at every
operation, so a transposed array is found even where sizes happen to be equal.
"""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from unrolled import activations, functions
from unrolled.equations.expressions import Expression
from unrolled.errors import UnrolledError
from unrolled.notation import Shape, shape_text

_ALLOWED = "a cell may say @ .T + - * / **2 and the functions of unrolled.functions"
_OWN_FILES = frozenset({__file__, functions.__file__, activations.__file__})


class EquationError(UnrolledError):
    """A cell says what it may not say, or its shapes do not fit."""


class Symbol:
    """What a cell is run on to write its equations down: it has `.T` and operators, and nothing else
    that an array has.
    """

    __slots__ = ("_expression",)

    def __init__(self, expression: Expression):
        self._expression = expression

    def record(self, operation: str, rule: str, operands: tuple[Any, ...]) -> "Symbol":
        """Write down a function of `unrolled.functions`; `rule` says what becomes of the shape."""
        expressions = tuple(expression(operand) for operand in operands)
        shape = expressions[0].shape
        for other in expressions[1:]:
            shape = _broadcast(operation, shape, other.shape)
        if rule == "over m":
            shape = (shape[0], 1)
        elif rule == "over n":
            shape = (1, shape[1])
        return Symbol(Expression(operation, expressions, shape, line=_cell_line()))

    def __matmul__(self, other: Any) -> "Symbol":
        return _product(expression(self), expression(other))

    def __rmatmul__(self, other: Any) -> "Symbol":
        return _product(expression(other), expression(self))

    @property
    def T(self) -> "Symbol":  # noqa: N802 - the name is that of an array's transpose
        of = self._expression
        return Symbol(Expression("transpose", (of,), of.shape[::-1], line=_cell_line()))

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
                f"{self._expression.described()} is raised to the power {exponent!r}: {_ALLOWED}"
            )
        return self.record("square", "same shape", (self,))

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise EquationError(f"{self._expression.described()} has no .{name} here: {_ALLOWED}")

    def __array_ufunc__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def __array_function__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self._refuse_numpy(function.__name__)

    def _refuse_numpy(self, name: str) -> NoReturn:
        raise EquationError(
            f"{self._expression.described()} is given to a NumPy function, {name}: {_ALLOWED}"
        )

    def __repr__(self) -> str:
        return f"Symbol({self._expression.described()}, {shape_text(self._expression.shape)})"


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refuse(self: Symbol, *_: Any, **__: Any) -> NoReturn:
        raise EquationError(f"{self._expression.described()} {what}: {_ALLOWED}")

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


def expression(value: Any) -> Expression:
    """Return what a symbol has written down, or the number that stands in an equation.

    Raises EquationError for anything else.
    """
    if isinstance(value, Symbol):
        return value._expression
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Expression("number", value=float(value))
    raise EquationError(
        f"{type(value).__name__} stands in an equation: expected quantities and numbers"
    )


def _product(left: Expression, right: Expression) -> Symbol:
    if len(left.shape) != 2 or len(right.shape) != 2 or left.shape[1] != right.shape[0]:
        raise EquationError(
            f"{left.described()} {shape_text(left.shape)} @ {right.described()} "
            f"{shape_text(right.shape)}: the inner axes of a product have to be the same"
        )
    shape = (left.shape[0], right.shape[1])
    return Symbol(Expression("product", (left, right), shape, line=_cell_line()))


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
