"""The schedule as text: what runs once over all time, what at each step, and why."""

from collections.abc import Iterator
from typing import Any

from unrolled import notation
from unrolled.equations.operations import Elementwise, Operation, Product, Schedule, Total
from unrolled.equations.printers import Printer
from unrolled.equations.schedule import schedule
from unrolled.equations.step import Stage
from unrolled.equations.table import Table
from unrolled.notation import columns, shape_text

_LETTERS = (
    "p_z waits where z will stand: the terms of z that do not depend on the step before",
    "k_z is the factors in z that do not depend on the step before (going back: after)",
    "r_z is a product at this step, s_z what it is added to",
)


def schedule_text(table: Table, ascii: bool = False) -> str:
    """Return both directions of the cell and of what follows it, with reasons and counts."""
    step = table.step
    lines = [f"The schedule of {step.cell.name}: {step.cell.title}", ""]
    lines += [f"  {line}" for line in _LETTERS]
    for title, stage in (("cell", step.recurrence), ("output layer and loss", step.head)):
        for direction, keep in (("forward", step.needed), ("backward", frozenset({"da_y"}))):
            plan = schedule(stage, direction, keep, single=False)
            lines += ["", *_Text(table, stage, plan, direction, title).lines()]
    plain = notation.ascii_text if ascii else str
    return "\n".join(plain(line) for line in lines)


def count_products(stage: Stage, plan: Schedule, direction: str, table: Table) -> dict[str, int]:
    """Return how many matrix products are written for a step, and how many calls there are: in the
    loop, and over all time.
    """
    parts = {part.name for part in stage.parts}
    written = sum(
        operation == "product"
        for e in table.of(direction) if e.part in parts and e.name != "dx"
        for operation in e.expression.operations()
    )  # fmt: skip
    return {
        "written": written,
        "loop": sum(isinstance(op, Product) for op in plan.loop),
        "over_time": sum(isinstance(op, Product) for op in (*plan.before, *plan.after))
        + sum(bool(right) for total in plan.totals for _, _, right in total.terms),
    }  # fmt: skip


class _Text:
    def __init__(self, table: Table, stage: Stage, plan: Schedule, direction: str, title: str):
        self.table, self.stage, self.plan, self.direction = table, stage, plan, direction
        self.title, self.printer = title, OperationPrinter(table)
        self.neighbour = "before" if direction == "forward" else "after"

    def lines(self) -> Iterator[str]:
        order = "t = 0 … T−1" if self.direction == "forward" else "t = T−1 … 0"
        yield f"{self.title.capitalize()}, {self.direction}"
        aside = "over all steps at once; what is elementwise in blocks that stay in the cache"
        sections = [
            (
                f"Before the loop, {aside}" if self.plan.loop else aside.capitalize(),
                self.plan.before,
            ),
            (f"The loop, {order}", self.plan.loop),
            (f"After the loop, {aside}", self.plan.after),
        ]
        for heading, operations in sections:
            if operations:
                yield from self._section(heading, operations, operations is self.plan.loop)
        if self.plan.totals:
            yield "  Sums over all steps, each of all m·T columns at once"
            yield from (f"    {line}" for line in columns(list(map(self._total, self.plan.totals))))
        for name, _ in self.plan.shares:
            yield f"  d{name} takes the sequences of a step together: it is added up in the loop"
        rows = [axis if n == 1 else f"{n} {axis}" for axis, n in sorted(self.plan.rows.items())]
        kept = [self.printer.name(name) for stack in self.plan.stacks for name in stack]
        yield f"  Kept at every step: {', '.join(kept)}: ({' + '.join(rows)}) m T numbers."
        count = count_products(self.stage, self.plan, self.direction, self.table)
        yield (
            f"  Products: {count['written']} are written for each step; "
            f"{count['loop']} {'is' if count['loop'] == 1 else 'are'} left in the loop, "
            f"{count['over_time']} over all time."
        )

    def _section(self, heading: str, operations: list[Operation], looped: bool) -> Iterator[str]:
        yield f"  {heading}"
        for op in operations:
            yield f"    {self.printer.operation(op)}"
            if isinstance(op, Product):
                yield from (f"      · {why}" for why in self._reasons(op, looped))

    def _reasons(self, op: Product, looped: bool) -> Iterator[str]:
        rows, inner = self.stage.parameters[op.weights[0]]
        stacked = f"{len(op.weights)} {rows}" if len(op.weights) > 1 else rows
        shapes = (inner, stacked) if op.transposed else (stacked, inner)
        shape = f"{shape_text(shapes)} {shape_text((shapes[1], 'm' if looped else 'm·T'))}"
        how = "that are added up" if op.transposed else "with one operand"
        yield (
            f"{shape}: {len(op.weights)} products {how}, stacked into one"
            if len(op.weights) > 1
            else shape
        )
        if not looped and self.plan.loop:
            yield f"does not depend on the step {self.neighbour}: once, for all m·T columns"
        elif self._is_second(op):
            yield "a second stage: it needs a product of the same step"

    def _is_second(self, op: Product) -> bool:
        """Whether an operand comes from a product of the same step."""
        made: set[str] = set()
        for other in self.plan.loop:
            if other is op:
                return bool(made & set(op.operands))
            if isinstance(other, Product) or made & set(other.reads):
                made |= set(other.names)
        return False

    def _total(self, total: Total) -> tuple[str, str]:
        parts = []
        for sign, left, right in total.terms:
            product = self.printer.name(left) + (f" {self.printer.name(right)}ᵀ" if right else "")
            parts.append(("−" if sign < 0 else "+", product))
        text = " ".join(f"{sign} Σ_t {product}" for sign, product in parts).removeprefix("+ ")
        how = "one product" if total.terms[0][2] else "a sum"
        return f"{self.printer.plain(total.name)} = {text}", how


class OperationPrinter(Printer):
    """Prints operations, and what only the schedule names: p.z as p_z⟨t⟩."""

    def operation(self, op: Operation) -> str:
        """Return an operation as its equation."""
        names = list(map(self.name, op.names))
        if isinstance(op, Elementwise):
            return f"{', '.join(names)} = {', '.join(map(self.print, op.expressions))}"
        weights, operands = list(map(self.plain, op.weights)), list(map(self.name, op.operands))
        if op.transposed:
            return f"{names[0]} = {_stack(weights)}ᵀ {_stack(operands)}"
        return f"{_stack(names)} = {_stack(weights)} {operands[0]}"

    def name(self, name: str, at: str = "t") -> str:
        letter, dot, of = name.partition(".")
        if not dot:
            return super().name(name, at)
        return f"{letter}_{of}⟨{at}⟩"


def _stack(parts: list[Any]) -> str:
    return f"[{'; '.join(parts)}]" if len(parts) > 1 else str(parts[0])
