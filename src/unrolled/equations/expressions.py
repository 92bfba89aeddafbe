"""What stands on the right of an equation: a tree of quantities, numbers and operations."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from unrolled.notation import Shape

_NOUNS = {"add": "sum", "subtract": "difference", "multiply": "∘ product", "divide": "quotient"}
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

    def with_names(self, names: dict[int, str]) -> "Expression":
        """Return the expression with every node whose id is in `names` replaced by that quantity."""
        operands = tuple(
            Expression.quantity(names[id(operand)], operand.shape)
            if id(operand) in names and operand.operation != "quantity"
            else operand.with_names(names)
            for operand in self.operands
        )
        return Expression(self.operation, operands, self.shape, self.name, self.value, self.line)

    def described(self) -> str:
        """Return what to call it in a sentence: its name, or what it is made from."""
        if self.operation == "quantity":
            return self.name
        of = ", ".join(dict.fromkeys(leaf.name for leaf in self.leaves()))
        line = f" in line {self.line}" if self.line else ""
        return f"the {_NOUNS.get(self.operation, self.operation)} of {of or 'numbers'}{line}"
