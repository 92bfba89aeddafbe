"""What a person wrote, as an equation of the legend: their syntax with recognised values as its leaves."""

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.checking.locating.runs import Run, Runner
from unrolled.checking.running.program import called_name
from unrolled.checking.running.watching import Event, Place
from unrolled.equations.expressions import Expression
from unrolled.equations.symbols import EquationError, Symbol, expression
from unrolled.functions import PRIMITIVES, over_batch, over_features

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_PRODUCTS = ("dot", "matmul")
_AS_IT_IS = ("copy", "array", "asarray", "squeeze", "float64")
_DEEPEST = 40


class UntranslatableError(Exception):
    """Their expression has no counterpart in an equation."""


# What a number in the place of a matrix, or their own odd operands, may raise.
_NONE = (
    UntranslatableError, EquationError, RecursionError, AttributeError, TypeError, ValueError,
    ArithmeticError,
)  # fmt: skip


def translated(runner: Runner, run: Run, place: Place, event: Event) -> Expression | None:
    """Return their expression at a place, at one event, in the legend's layout; None if it has none."""
    try:
        node = place.node.value if isinstance(place.node, ast.AugAssign) else place.node
        index = run.watcher.events.index(event)
        found = _Translation(runner, run, event).of(node, index, _DEEPEST, leaf=False)
        return expression(found) if isinstance(found, Symbol) else None
    except _NONE:
        return None


class _Translation:
    def __init__(self, runner: Runner, run: Run, event: Event):
        self.runner, self.run = runner, run
        self.t = runner.step(event, run.watcher)
        self.by_node: dict[int, list[int]] = {}
        for place in runner.places:
            self.by_node.setdefault(id(place.node), []).append(place.number)

    def of(self, node: ast.AST, before: int, depth: int, leaf: bool = True) -> Any:
        """Translate a node as it was evaluated last before an event's index."""
        if not depth:
            raise UntranslatableError
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        index = self._seen(node, before)
        if index is not None and leaf:
            found = self._quantity(index)
            if found is not None:
                return found
        made = self._made(node, index if index is not None else before, depth - 1)
        if made is not None:
            return made
        if index is None:
            raise UntranslatableError
        return self._elsewhere(index, depth - 1)

    def _seen(self, node: ast.AST, before: int) -> int | None:
        numbers = self.by_node.get(id(node), [])
        events = self.run.watcher.events
        for k in range(min(before, len(events) - 1), -1, -1):
            if events[k].place in numbers:
                return k
        return None

    def _quantity(self, index: int) -> Any:
        """The recognised quantity in an event's value, or a plain number."""
        value = self.run.watcher.events[index].value
        table = self.runner.truth.table
        for found in sorted(self.run.nodes[index], key=lambda n: n.name not in table.shapes):
            if found.kind == "" and found.t in (self.t, None) and found.name in table.shapes:
                return Symbol(Expression.quantity(found.name, table.shapes[found.name]))
        return float(value) if value is not None and value.size == 1 else None

    def _elsewhere(self, index: int, depth: int) -> Any:
        """What is read here was computed by an earlier expression that had the same numbers."""
        events = self.run.watcher.events
        value = events[index].value
        for k, event in enumerate(events[:index]):
            node = self.runner.places[event.place].node
            computes = isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp)
            if computes and event.value is not None and np.array_equal(event.value, value):
                return self.of(node, k, depth, leaf=False)
        raise UntranslatableError

    def _made(self, node: ast.AST, before: int, depth: int) -> Any:
        if isinstance(node, ast.BinOp):
            return self._binary(node, before, depth)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.of(node.operand, before, depth)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return self.of(node.value, before, depth).T
        if isinstance(node, ast.Call):
            return self._call(node, before, depth)
        return None

    def _binary(self, node: ast.BinOp, before: int, depth: int) -> Any:
        left = self.of(node.left, before, depth)
        if isinstance(node.op, ast.Pow):
            if isinstance(node.right, ast.Constant) and node.right.value == 2:
                return left**2
            raise UntranslatableError
        right = self.of(node.right, before, depth)
        if isinstance(node.op, ast.MatMult):
            return self._product(left, right)
        if type(node.op) not in _OPERATORS:
            raise UntranslatableError
        return _OPERATORS[type(node.op)](left, right)

    def _product(self, left: Any, right: Any) -> Any:
        """Where their rows are the legend's columns, a product is that of the transposes."""
        if not isinstance(left, Symbol) or not isinstance(right, Symbol):
            raise UntranslatableError
        return left @ right if self.runner.plan.columns else right @ left

    def _call(self, node: ast.Call, before: int, depth: int) -> Any:
        name = called_name(node)
        arguments = list(node.args)
        if isinstance(node.func, ast.Attribute) and _name(node.func.value) not in ("np", "numpy"):
            arguments.insert(0, node.func.value)
        if name == "sum" and arguments:
            return self._sum(node, arguments, before, depth)
        if name in _AS_IT_IS and arguments:
            return self.of(arguments[0], before, depth)
        values = [self.of(a, before, depth) for a in arguments]
        if name in _PRODUCTS and len(values) == 2:
            return self._product(*values)
        if name in ("multiply", "add", "subtract") and len(values) == 2:
            return getattr(operator, {"multiply": "mul", "add": "add", "subtract": "sub"}[name])(
                *values
            )
        if name == "square":
            return values[0] ** 2
        if name == "transpose" and len(values) == 1:
            return values[0].T
        if name in ("tanh", "sigmoid", "relu", "softmax") and len(values) == 1:
            return PRIMITIVES[name](values[0])
        return None

    def _sum(self, node: ast.Call, arguments: list[ast.expr], before: int, depth: int) -> Any:
        axis = next((k.value for k in node.keywords if k.arg == "axis"), None)
        axis = arguments[1] if axis is None and len(arguments) > 1 else axis
        value = self.of(arguments[0], before, depth)
        if not isinstance(axis, ast.Constant) or axis.value not in (0, 1):
            raise UntranslatableError
        return (
            over_batch(value)
            if axis.value == int(self.runner.plan.columns)
            else over_features(value)
        )


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""
