"""The Python functions that run a schedule, written from its equations: one loop over steps, and what
runs over blocks of them. Every operation has its place to write to, and nothing else is done.

All arrays are transposed, (m, n) at a step. The functions are short: `print(program.loop.source)`.
"""

import itertools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from unrolled.equations.expressions import Expression
from unrolled.equations.operations import Elementwise, Operation, Product, Total
from unrolled.equations.schedule import schedule
from unrolled.equations.step import Stage
from unrolled.functions import PRIMITIVES
from unrolled.notation import Shape

# How an operation is written that has a place to write to; what is not here is copied there.
_INTO = {
    "add": "add({0}, {1}, {out})", "subtract": "subtract({0}, {1}, {out})",
    "multiply": "multiply({0}, {1}, {out})", "divide": "divide({0}, {1}, {out})",
    "negative": "negative({0}, {out})", "square": "square({0}, {out})",
    "tanh": "tanh({0}, {out})", "relu": "maximum({0}, {zero}, out={out})",
    "sigmoid": "negative({0}, {out}); exp({out}, {out}); add({out}, {one}, {out}); "
               "divide({one}, {out}, {out})",
    "over_features": "total({0}, -1, None, {out}, True)",
}  # fmt: skip
_SOFTMAX = (
    "most({0}, -1, None, {shift}, True); subtract({0}, {shift}, {out}); exp({out}, {out}); "
    "total({out}, -1, None, {sum}, True); divide({out}, {sum}, {out})"
)
_CALLED = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "negative": np.negative, "square": np.square, "tanh": np.tanh, "maximum": np.maximum,
    "exp": np.exp, "log": np.log, "total": np.add.reduce, "most": np.maximum.reduce,
    "copyto": np.copyto,
}  # fmt: skip
OTHERS: dict[str, Callable[..., Any]] = {**PRIMITIVES, "product": operator.matmul}
OTHERS["transpose"] = np.transpose

Names = tuple[str, ...]


class Function:
    """A function of steps, while it is written and after: `function(steps, *constants)`.

    `variables` says what the variables of a step stand for, ("quantity", names side by side) or
    ("spare", which, shape, count), a place for an intermediate result; `constants` what is the same at
    every step: ("parameter", names), ("rows", weights), ("product", weights), ("columns", weights),
    ("number", value), ("function", name), ("total", name).
    """

    def __init__(self, program: "Program", operations: Iterable[Operation], looped: bool):
        self.program, self.looped = program, looped
        self.variables: dict[Any, str] = {}
        self.constants: dict[Any, str] = {}
        self.softmaxes: set[str] = set()
        self.lines: list[str] = []
        for op in operations:
            self._product(op) if isinstance(op, Product) else self._elementwise(op)

    def compile(self) -> "Function":
        """Make a function of what was written."""
        head = f"def run({', '.join(['steps', *self.constants.values()])}):\n"
        loop = f"    for {', '.join(self.variables.values())}, in steps:\n"
        self.source = head + loop + "".join(f"        {line}\n" for line in self.lines)
        found: dict[str, Any] = {}
        exec(self.source, _CALLED, found)
        self.function: Callable[..., None] = found["run"]
        return self

    def add_up(self, name: str, e: Expression) -> None:
        """Write what adds the share of a step to a total."""
        share, total = self._spare(0, e.shape, 1), self._constant("total", name)
        self._write((e,), share, None, 1)
        self.lines.append(f"add({total}, {share}, {total})")

    def _quantity(self, *names: str) -> str:
        """Return the variable of quantities that lie side by side."""
        if names[0] in self.program.parameters or names[0] in self.program.schedule.constants:
            return self._constant("parameter", names)
        homes = tuple(map(self.program.schedule.home, names))  # one variable for one place
        return self.variables.setdefault(("quantity", homes), f"v{len(self.variables)}")

    def _constant(self, kind: str, what: Any) -> str:
        return self.constants.setdefault((kind, what), f"c{len(self.constants)}")

    def _spare(self, which: Any, shape: Shape, count: int) -> str:
        return self.variables.setdefault(("spare", which, shape, count), f"v{len(self.variables)}")

    def _elementwise(self, op: Elementwise) -> None:
        place = self.program.schedule.place(op.names[0])
        self._write(op.expressions, self._quantity(*op.names), place, 0)

    def _write(self, parts: tuple[Expression, ...], out: str, place: Any, spare: int) -> None:
        """Write what computes an expression, for each of several quantities side by side, into `out`.

        `spare` is the first place for intermediate results that is free.
        """
        if not parts[0].operands:
            if (value := self._value(parts)) != out:
                self.lines.append(f"copyto({out}, {value})")
            return
        values: list[str] = []
        for k in range(len(parts[0].operands)):
            operand = tuple(e.operands[k] for e in parts)
            if not operand[0].operands:
                values.append(self._value(operand))
            elif out not in values and self._is_free(parts[0], k, place):
                self._write(operand, out, place, spare)
                values.append(out)
            else:
                values.append(self._spare(spare, operand[0].shape, len(parts)))
                self._write(operand, values[-1], None, spare + 1)
                spare += 1
        self.lines.append(self._call(parts[0], values, out))

    def _is_free(self, e: Expression, k: int, place: Any) -> bool:
        """Whether operand k may be computed where the result goes: no other operand is there still."""
        others = [x for j, x in enumerate(e.operands) if j != k]
        read = {self.program.schedule.place(leaf.name) for x in others for leaf in x.leaves()}
        same = e.operands[k].shape == e.shape
        return same and place not in read and self.program.is_alone(place)

    def _value(self, parts: tuple[Expression, ...]) -> str:
        if parts[0].operation == "number":
            return self._constant("number", parts[0].value)
        return self._quantity(*dict.fromkeys(e.name for e in parts))

    def _call(self, e: Expression, values: list[str], out: str) -> str:
        if e.operation in ("softmax", "log_sum_exp"):
            return self._softmax(e, values[0], out)
        if e.operation in _INTO:
            one, zero = (self._constant("number", value) for value in (1.0, 0.0))
            return _INTO[e.operation].format(*values, out=out, one=one, zero=zero)
        called = self._constant("function", e.operation)
        arguments = list(map(self._turned, values, e.operands))
        return f"copyto({out}, {called}({', '.join(arguments)}).T)"

    def _turned(self, value: str, e: Expression) -> str:
        """A variable the way a function of `unrolled.functions` takes it: features first."""
        if e.operation == "number":
            return value
        over_blocks = value in self.constants.values() and not self.looped
        return f"{value}.T[..., None]" if over_blocks else f"{value}.T"

    def _softmax(self, e: Expression, value: str, out: str) -> str:
        """Softmax, or log Σ exp, which takes shift and sum from the softmax of the same quantity."""
        of = e.operands[0]
        row = (1, of.shape[1])
        shift, total = (self._spare(f"{what} of {value}", row, 1) for what in ("shift", "sum"))
        if e.operation == "softmax":
            self.softmaxes.add(of.name)
            return _SOFTMAX.format(value, out=out, shift=shift, sum=total)
        line = f"log({total}, {out}); add({out}, {shift}, {out})"
        if of.name and of.name in self.softmaxes:
            return line
        spare = self._spare("softmax", of.shape, 1)
        return f"{_SOFTMAX.format(value, out=spare, shift=shift, sum=total)}; {line}"

    def _product(self, op: Product) -> None:
        """Write a product of one step."""
        out = self._quantity(*op.names)
        if not op.transposed:
            value, W = self._quantity(*op.operands), self._constant("rows", op.weights)
            if len(op.weights) > 1 and not self.program.together:
                product = self._constant("product", op.weights)
                self.lines.append(f"{product}({value}, {W}, {out})")
            else:
                self.lines.append(f"{value}.dot({W}, {out})")
            return
        for k, (names, weights) in enumerate(self.program.runs(op.operands, op.weights)):
            value, W = self._quantity(*names), self._constant("columns", weights)
            result = self._spare(0, self.program.schedule.shapes[op.names[0]], 1) if k else out
            self.lines.append(f"{value}.dot({W}, {result})")
            if k:
                self.lines.append(f"add({out}, {result}, {out})")


class Program:
    """A schedule with the functions that run it: `before`, products and functions over all time;
    `ahead`, what runs over a block of steps before `loop` does; `after`, over all time again.
    """

    def __init__(
        self, stage: Stage, direction: str, keep: frozenset[str] | None, outside: frozenset[str],
        single: bool,
    ):  # fmt: skip
        self.symbols = stage.symbols  # and not the stage: programs are held as long as it lives
        self.direction, self.together = direction, single or direction == "backward"
        self.schedule = schedule(stage, direction, keep, outside, single)
        self.parameters = frozenset(stage.parameters)
        stacks = self.schedule.stacks
        self.position = {n: (k, i) for k, stack in enumerate(stacks) for i, n in enumerate(stack)}
        looped = [op for op in self.schedule.loop if isinstance(op, Product) and not op.transposed]
        self.results = {n: (op.names, i) for op in looped for i, n in enumerate(op.names)}
        self.stacked_totals, self.other_totals = self._totals()
        self.before, self.after = map(self._phases, (self.schedule.before, self.schedule.after))
        last = self.before[-1] if self.before else None
        self.ahead = last if isinstance(last, Function) else None
        self.before = self.before[:-1] if self.ahead else self.before
        self.waiting = set(self.ahead.variables) if self.ahead else set()
        self.loop = self._loop() if self.schedule.loop else None

    def is_alone(self, place: Any) -> bool:
        """Whether a place is not a part of a wider buffer, in which operations take longer."""
        return place not in self.position or len(self.schedule.stacks[self.position[place][0]]) == 1

    def runs(self, names: Names, others: Names) -> list[tuple[Names, Names]]:
        """Divide names, and others that go with them, into what lies side by side."""
        found: list[tuple[Names, Names]] = []
        for name, other in zip(names, others, strict=True):
            stack, k = self.position.get(self.schedule.home(name), (-1, 0))
            before = self.schedule.home(found[-1][0][-1]) if found else ""
            if self.position.get(before) == (stack, k - 1):
                found[-1] = (*found[-1][0], name), (*found[-1][1], other)
            else:
                found.append(((name,), (other,)))
        return found

    def _totals(self) -> tuple[list[tuple[Names, Names, str]], list[Total]]:
        """Stack products over all time that have one right side, and left sides side by side."""
        by_right: dict[str, list[tuple[str, str]]] = {}
        others: list[Total] = []
        for total in self.schedule.totals:
            (sign, left, right), *more = total.terms
            if more or sign < 0 or not right or left not in self.position:
                others.append(total)
            else:
                by_right.setdefault(right, []).append((left, total.name))
        stacked = []
        for right, pairs in by_right.items():
            pairs.sort(key=lambda pair: self.position[pair[0]])
            runs = self.runs(tuple(left for left, _ in pairs), tuple(name for _, name in pairs))
            stacked += [(names, lefts, right) for lefts, names in runs]
        return stacked, others

    def _phases(self, operations: list[Operation]) -> list[Product | Function]:
        """Products one by one, and between them functions of all that is elementwise."""
        phases: list[Product | Function] = []
        for _, group in itertools.groupby(operations, type):
            several = list(group)
            products = [op for op in several if isinstance(op, Product)]
            phases += products or [Function(self, several, looped=False).compile()]
        return phases

    def _loop(self) -> Function:
        function = Function(self, self.schedule.loop, looped=True)
        for name, e in self.schedule.shares:
            function.add_up(name, e)
        return function.compile()
