"""The recorded table on numbers: the whole unrolled calculation, also with something in it changed.

Where a calculation is to be had as it is, a network's tape has it, from the cell itself. This is for what is
not as it is: a contribution left out, a loss of one step alone, a wrong number put in to see what follows.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.equations.table import Equation, Key, Table

Array = Any


@dataclass(frozen=True)
class Moment:
    """One equation at one step of the calculation; `t` is None for what is formed over all steps."""

    equation: Equation
    t: int | None

    @property
    def key(self) -> Key:
        """The quantity that is computed, and its step."""
        return self.equation.name, self.t

    @property
    def label(self) -> str:
        """How it is named on a command line and in a link: `t=3:dz_a`, or `dW_aa`."""
        return label_of(self.key)


def label_of(key: Key) -> str:
    """Return `t=3:dz_a`, or `dW_aa` for what is no step's."""
    name, t = key
    return name if t is None else f"t={t}:{name}"


def moments(table: Table, T: int) -> Iterator[Moment]:
    """Yield all of the calculation in its order: forward, the loss, backward, the sums over time.

    That the state before a step is the one after the step before needs no moment of its own.
    """
    backward = [e for e in table.of("link") if e.expression.operation == "next"]
    backward += table.of("backward")
    yield from (Moment(e, t) for t in range(T) for e in table.of("forward"))
    totals = table.of("total")
    yield from (Moment(e, None) for e in totals if e.name == "loss")
    yield from (Moment(e, t) for t in reversed(range(T)) for e in backward)
    yield from (Moment(e, None) for e in totals if e.name != "loss")


def evaluate(
    table: Table, given: Mapping[Key, Array], T: int, without: Collection[str] = (),
    fixed: Mapping[Key, Array] | None = None,
) -> dict[Key, Array]:  # fmt: skip
    """Return every number of the calculation.

    `given` has parameters and initial states, and x, y and omega of each step. Quantities in `without` are
    zero at every step; those in `fixed` are not computed but as they are there.
    """
    values, fixed = dict(given), fixed or {}
    with np.errstate(all="ignore"):
        for moment in moments(table, T):
            found = fixed.get(moment.key)
            if found is None:
                found = _value(table, values, moment, T)
            values[moment.key] = np.zeros_like(found) if moment.equation.name in without else found
    return values


def _value(table: Table, values: Mapping[Key, Array], moment: Moment, T: int) -> Array:
    expression, t = moment.equation.expression, moment.t
    of = expression.operands[0].name if expression.operands else ""
    if expression.operation == "over_time":
        return sum(values[of, step] for step in range(T))
    if expression.operation == "first":
        return values[of, 0]
    if expression.operation == "next":
        assert t is not None
        state = of.removeprefix("d").removesuffix("_prev")
        return values[of, t + 1] if t + 1 < T else np.zeros_like(values[state, t])
    names = expression.names
    return expression.value_of({name: values[table.placed(name, t)] for name in names})
