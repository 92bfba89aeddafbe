"""How numbers, arrays, shapes and equations are written, wherever a calculation is told."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unrolled.equations.evaluation import Moment
from unrolled.equations.expressions import SIGNS, Expression
from unrolled.equations.printers import Printer
from unrolled.equations.table import Equation, Table
from unrolled.explaining.explanation import Explanation

Array = Any
DIGITS = 4


def number(value: float, digits: int = DIGITS) -> str:
    """Return a number in at most `digits` digits, with a true minus: −0.0312, 1.2e−17, 0, NaN."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    mantissa, _, exponent = f"{value + 0.0:.{digits}g}".partition("e")
    text = f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return text.replace("-", "−")


def shape(array: Array, times: str = "×") -> str:
    """Return `4×2`."""
    return times.join(map(str, np.shape(array)))


def is_row(table: Table, name: str) -> bool:
    """Whether a quantity is a row of numbers, such as the losses: one alone is no matrix, and has no brackets.

    All others have them, though they be 1×1: 0.5 −0.3 is no product, and −0.3² no square of −0.3.
    """
    return table.shapes.get(name, ("",))[0] == 1


class StepPrinter(Printer):
    """Prints the equations of one step, t, with something in the places of the quantities.

    `leaf(name, t)` says what: the symbol (`symbol` below), the shape, the numbers; t is None for a parameter.
    `zero` stands for what comes back from the step after the last; `most` is how many terms of a sum over time
    are written at most, with dots for the others.
    """

    def __init__(
        self, table: Table, style: Mapping[str, str], t: int | None, T: int,
        leaf: Callable[[str, int | None], str] | None = None, zero: str = "0",
        most: int | None = None,
    ):  # fmt: skip
        super().__init__(table, style)
        self.table, self.t, self.T, self.zero = table, t, T, zero
        self.leaf, self.most = leaf or self.symbol, most or T

    def name(self, name: str, at: str = "t") -> str:
        """Return what stands for a quantity."""
        return self.leaf(*self.table.placed(name, self.t))

    def symbol(self, name: str, t: int | None) -> str:
        """Return a symbol, with the number of its step."""
        return self.plain(name) if t is None else self.style["step"] % (self.plain(name), t)

    def left(self, equation: Equation) -> str:
        """Return what stands for the left side."""
        return self.leaf(equation.name, self.t)

    def over_time(self, name: str) -> list[str]:
        """Return what stands for a quantity at each step, with dots where those are too many."""
        steps = [self.leaf(name, t) for t in range(min(self.T, self.most) - 1)]
        return [*steps, *[self.style["dots"]] * (self.most < self.T), self.leaf(name, self.T - 1)]

    def terms(self, expression: Expression) -> list[str]:
        """Return what a sum adds up, each but the first with its sign before it; of anything else itself."""
        if expression.operation == "over_time":
            first, *others = self.over_time(expression.operands[0].name)
            return [first, *(self.style["add"] % ("", other) for other in others)]
        if expression.operation not in SIGNS:
            return [self.print(expression)]
        signed = self.style[expression.operation] % ("", self.operand(expression, 1))
        return [*self.terms(expression.operands[0]), signed]

    def linked(self, expression: Expression) -> str:
        """Return what another step, or all of them, gave."""
        name = expression.operands[0].name
        if expression.operation == "over_time":
            steps = self.over_time(name)
            return functools.reduce(lambda a, b: self.style["add"] % (a, b), steps)
        t = 0 if self.t is None else self.t + 1
        return self.leaf(name, t) if t < self.T else self.zero


def equation(
    moment: Moment, explanation: Explanation, style: Any, leaf: Any = None, zero: str = "0",
    most: int | None = None,
) -> tuple[str, str]:  # fmt: skip
    """Return both sides of a moment's equation; `leaf(name, t)` says what stands for the quantities."""
    printer = StepPrinter(explanation.table, style, moment.t, explanation.T, leaf, zero, most)
    return printer.left(moment.equation), printer.print(moment.equation.expression)


def pieces(
    moment: Moment, explanation: Explanation, style: Any, leaf: Any = None, zero: str = "0",
    most: int | None = None,
) -> list[str]:  # fmt: skip
    """Return an equation in pieces: its left side, then each term of its right side with the sign before it."""
    printer = StepPrinter(explanation.table, style, moment.t, explanation.T, leaf, zero, most)
    first, *others = printer.terms(moment.equation.expression)
    return [printer.left(moment.equation), style["equals"] % first, *others]
