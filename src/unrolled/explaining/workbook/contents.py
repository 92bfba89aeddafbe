"""What stands on the sheets: quantities with their equations, entries and numbers, sheet by sheet."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.equations.entries import Scalar, entry_equation
from unrolled.equations.evaluation import Moment
from unrolled.equations.printers import TEXT
from unrolled.equations.table import Key, Table
from unrolled.explaining import writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.sentences import symbol
from unrolled.explaining.workbook.on_the_way import split, values
from unrolled.notation import Shape

Array = Any
RATE: Key = ("learning rate", None)
FIRST_RATE = 0.1


@dataclass(frozen=True, eq=False)
class Quantity:
    """An array on a sheet. `entry` says how entry (i, j) is computed, None that it is given; `key_of` whose
    the entries in it are. `proved` is whether NumPy's run has the same number, given or computed;
    `scale` what an error in it is relative to, where that is not its own largest entry.
    """

    key: Key
    symbol: str
    meaning: str
    shape: Shape
    value: Array
    equation: str = ""
    source: str = ""
    entry: Scalar | None = None
    key_of: Callable[[Scalar], Key] = lambda entry: (entry.name, None)
    proved: bool = True
    scale: Array = None


@dataclass(frozen=True)
class Sheet:
    """A sheet: what it is, and its quantities in rows, most of them alone in theirs."""

    name: str
    title: str
    says: str
    rows: tuple[tuple[Quantity, ...], ...]

    @property
    def quantities(self) -> list[Quantity]:
        """All of them in their order."""
        return [quantity for row in self.rows for quantity in row]


def sheets(explanation: Explanation) -> list[Sheet]:
    """Return the sheets of one run, but for those that are about the workbook itself."""
    T = explanation.T
    by_step: dict[tuple[bool, int | None], list[Moment]] = {}
    for moment in explanation.moments:
        forward = moment.equation.direction == "forward"
        by_step.setdefault((forward, moment.t), []).append(moment)
    return [
        _data(explanation),
        Sheet("Parameters", "Parameters", "What is learned. Change any number here.",
              tuple((quantity,) for quantity in _parameters(explanation))),
        *(_sheet(explanation, f"Forward {t}", f"Forward, step t = {t}",
                 "What this step computes from its input, the state before it and the parameters.",
                 by_step[True, t]) for t in range(T)),
        *(_sheet(explanation, f"Backward {t}", f"Backward, step t = {t}",
                 "The gradients of this step, and its share in those of the parameters.",
                 by_step[False, t]) for t in reversed(range(T))),
        _sheet(explanation, "Gradients", "Loss and gradients, of all steps",
               "What the shares of the steps add up to: ∂loss/∂ of every parameter and initial state.",
               by_step[False, None]),
        _update(explanation),
    ]  # fmt: skip


def _data(explanation: Explanation) -> Sheet:
    over_time = (
        tuple(_given(explanation, (name, t)) for t in range(explanation.T))
        for name in ("x", "y", "omega")
    )
    states = ((_given(explanation, (f"{s}0", None)),) for s in explanation.table.step.states)
    return Sheet("Data", "Data", "What the network reads, and what it is to say. Change any number "
                 "here.", (*over_time, *states))  # fmt: skip


def _parameters(explanation: Explanation) -> Iterator[Quantity]:
    return (_given(explanation, (name, None)) for name in explanation.table.step.parameters)


def _given(explanation: Explanation, key: Key) -> Quantity:
    (name, t), table = key, explanation.table
    shape = table.shapes.get(name) or table.shapes[name.removesuffix("0")]
    return Quantity(key, symbol(name, t), table.meaning(name), shape, explanation.given[key])


def _sheet(
    explanation: Explanation, name: str, title: str, says: str, moments: list[Moment]
) -> Sheet:
    computed = (
        quantity for moment in moments for quantity in _at_moment(explanation, moment)
    )  # fmt: skip
    return Sheet(name, title, says, tuple((quantity,) for quantity in computed))


def _at_moment(explanation: Explanation, moment: Moment) -> Iterator[Quantity]:
    """Yield what a moment computes, after what stands on the way to it."""
    (name, t), table, equation = moment.key, explanation.table, moment.equation
    _, right = writing.equation(moment, explanation, TEXT)
    line = f", line {equation.line}" if equation.line else ""
    entry = entry_equation(table, equation)
    if equation.expression.operation == "next" and t == explanation.T - 1:
        entry = Scalar("number", value=0.0)
    meaning = table.meaning(name)
    if t is not None and name[1:] in table.step.parameters:
        meaning += f", the share of step {t}"
    yield from with_parts(
        Quantity(moment.key, symbol(name, t), meaning, equation.shape,
                 explanation.value(name, t), right, f"{equation.part}{line}", entry,
                 _at_step(table, t)),
        explanation.value, explanation.sizes,
    )  # fmt: skip


def with_parts(
    quantity: Quantity, value: Callable[[str, int | None], Array], sizes: Mapping[str, int]
) -> Iterator[Quantity]:
    """Yield a quantity after what stands on the way to it; `value(name, t)` has the numbers."""
    name, t = quantity.key
    assert quantity.entry is not None
    parts, entry = split(name, quantity.entry, quantity.shape)
    found: dict[str, Array] = {}

    def array(of: Scalar) -> Array:
        return found[of.name] if of.name in found else value(*quantity.key_of(of))

    for part in parts:
        rows, columns = (sizes[axis] if isinstance(axis, str) else axis for axis in part.shape)
        found[part.name] = values(part.entry, array, sizes, (rows, columns))
        yield Quantity((part.name, t), f"for {quantity.symbol}", part.meaning, part.shape, found[part.name],
                       entry=part.entry, key_of=quantity.key_of, proved=False)  # fmt: skip
    yield Quantity(**{**vars(quantity), "entry": entry})


def _at_step(table: Table, t: int | None) -> Callable[[Scalar], Key]:
    def key_of(entry: Scalar) -> Key:
        step = {"t": t, "t+1": None if t is None else t + 1}
        at = step[entry.step] if entry.step in step else int(entry.step)
        return table.placed(entry.name, at)

    return key_of


def _update(explanation: Explanation) -> Sheet:
    """A step of gradient descent, entry by entry."""
    rate = Quantity(RATE, "rate", "learning rate: change it", (1, 1), np.array([[FIRST_RATE]]))
    rows: list[tuple[Quantity, ...]] = [(rate,)]
    for parameter in _parameters(explanation):
        name = parameter.key[0]
        old, gradient = (Scalar("entry", name=n, at=("i", "j")) for n in (name, f"d{name}"))
        step = Scalar("multiply", (Scalar("entry", name=RATE[0]), gradient))
        new = parameter.value - FIRST_RATE * explanation.value(f"d{name}", None)
        rows.append((Quantity(
            (f"new {name}", None), f"new {parameter.symbol}", f"{parameter.meaning}, after the update",
            parameter.shape, new, f"{parameter.symbol} − rate {notation.entry(f'd{name}').text}",
            entry=Scalar("subtract", (old, step)),
        ),))  # fmt: skip
    return Sheet("Update", "Update", "One step of gradient descent: every parameter less the learning rate "
                 "times its gradient.", tuple(rows))  # fmt: skip
