"""What stands on the right of an equation: a tree of quantities, numbers and operations."""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unrolled.functions import PRIMITIVES
from unrolled.notation import Shape

_NOUNS = {"add": "sum", "subtract": "difference", "multiply": "∘ product", "divide": "quotient"}
_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": operator.truediv, "product": operator.matmul, "negative": operator.neg,
    "square": lambda a: a**2, "transpose": lambda a: a.T,
}  # fmt: skip
SIGNS = {"add": 1, "subtract": -1}
_serial = itertools.count()


@dataclass(frozen=True, eq=False, slots=True)
class Expression:
    """A node: a named quantity, a number, or an operation on other nodes.

    `operation` is "quantity", "number", an operator's name or that of a function of
    `unrolled.functions`; `shape` is in names, () for a number; `line` is the cell's line that made
    it, `serial` the order of making.
    """

    operation: str
    operands: tuple["Expression", ...] = ()
    shape: Shape = ()
    name: str = ""
    value: float = 0.0
    line: int = 0
    serial: int = field(default_factory=lambda: next(_serial))

    @classmethod
    def quantity(cls, name: str, shape: Shape) -> "Expression":
        """Return a leaf: the quantity `name`."""
        return cls("quantity", shape=shape, name=name)

    def leaves(self) -> Iterator["Expression"]:
        """Return every quantity the expression is made from, from left to right."""
        return (node for node in self.nodes() if node.operation == "quantity")

    def nodes(self) -> Iterator["Expression"]:
        """Yield the expression and all in it."""
        yield self
        for operand in self.operands:
            yield from operand.nodes()

    def with_named(self, key: Any, quantity: "Expression") -> "Expression":
        """Return the expression with `quantity` for all that has a key; itself if nothing has."""
        if self.key == key:
            return quantity
        operands = [operand.with_named(key, quantity) for operand in self.operands]
        same = all(a is b for a, b in zip(operands, self.operands, strict=True))
        return self if same else self.with_operands(operands)

    def operations(self) -> Iterator[str]:
        """Return the operation of every node."""
        return (node.operation for node in self.nodes())

    @property
    def names(self) -> frozenset[str]:
        """The names of all quantities in the expression."""
        return frozenset(leaf.name for leaf in self.leaves())

    @property
    def key(self) -> Any:
        """What is equal for expressions that say the same."""
        return self.operation, self.name, self.value, tuple(x.key for x in self.operands)

    def with_operands(self, operands: Iterable["Expression"]) -> "Expression":
        """Return the same operation on other operands."""
        return Expression(
            self.operation, tuple(operands), self.shape, self.name, self.value, self.line
        )

    def substituted(self, values: Mapping[str, "Expression"]) -> "Expression":
        """Return the expression with other expressions in the places of quantities."""
        if self.operation == "quantity":
            return values.get(self.name, self)
        return self.with_operands(x.substituted(values) for x in self.operands)

    def terms(self, sign: int = 1) -> list[tuple[int, "Expression"]]:
        """Return what a sum adds up, with signs; of anything else itself."""
        if self.operation not in SIGNS:
            return [(sign, self)]
        left, right = self.operands
        return left.terms(sign) + right.terms(sign * SIGNS[self.operation])

    def factors(self) -> list["Expression"]:
        """Return what a ∘ product multiplies; of anything else itself."""
        if self.operation != "multiply":
            return [self]
        return self.operands[0].factors() + self.operands[1].factors()

    def with_names(self, names: dict[int, str]) -> "Expression":
        """Return the expression with every node whose id is in `names` replaced by that quantity."""
        return self.with_operands(
            Expression.quantity(names[id(operand)], operand.shape)
            if id(operand) in names and operand.operation != "quantity"
            else operand.with_names(names)
            for operand in self.operands
        )

    def value_of(self, known: Mapping[str, Any]) -> Any:
        """Return the expression's value, from the values of its quantities."""
        if self.operation == "quantity":
            return known[self.name]
        if self.operation == "number":
            return self.value
        function = _OPERATORS.get(self.operation) or PRIMITIVES[self.operation]
        return function(*(operand.value_of(known) for operand in self.operands))

    def described(self) -> str:
        """Return what to call it in a sentence: its name, or what it is made from."""
        if self.operation == "quantity":
            return self.name
        of = ", ".join(dict.fromkeys(leaf.name for leaf in self.leaves()))
        line = f" in line {self.line}" if self.line else ""
        return f"the {_NOUNS.get(self.operation, self.operation)} of {of or 'numbers'}{line}"


def combined(operation: str, a: Expression, b: Expression) -> Expression:
    """Return an operation on two operands that are broadcast."""
    if a.operation == b.operation == "number":
        return Expression("number", value=_OPERATORS[operation](a.value, b.value))
    if not a.shape or not b.shape:
        return Expression(operation, (a, b), a.shape or b.shape)
    shape = tuple(y if x == 1 else x for x, y in zip(a.shape, b.shape, strict=True))
    return Expression(operation, (a, b), shape)


def summed(terms: list[tuple[int, Expression]]) -> Expression:
    """Return the sum of terms with signs; one that is added comes first where there is any."""
    (sign, total), *others = sorted(terms, key=lambda term: -term[0])
    if sign < 0 and total.operation == "number":
        total = Expression("number", value=-total.value)
    elif sign < 0:
        total = Expression("negative", (total,), total.shape)
    for sign, term in others:
        total = combined("add" if sign > 0 else "subtract", total, term)
    return total


def multiplied(factors: list[Expression]) -> Expression:
    """Return the ∘ product of factors."""
    return functools.reduce(functools.partial(combined, "multiply"), factors)
