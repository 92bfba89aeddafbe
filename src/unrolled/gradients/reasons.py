"""Why a gradient cannot be tested, from the tape and the recorded equations."""

from typing import Any

import numpy as np

from unrolled.activations import ACTIVATIONS
from unrolled.equations.printers import Printer
from unrolled.equations.table import Table
from unrolled.tape import Tape

Array = Any


class Reasons:
    """Answers for one run."""

    def __init__(self, table: Table, tape: Tape):
        self.table, self.tape = table, tape
        self.printer = Printer(table)
        states = table.step.states
        self._names = {"x": "dx"} | {f"{state}0": f"d{state}_prev" for state in states}

    def why(self, name: str, gradient: Array) -> str:
        """Return why the gradient of `name` says nothing here, in a sentence without its end."""
        prefix, dot, own = name.rpartition(".")
        parts = ["rounding is as large as its gradient"]
        if not np.any(gradient):
            zero = self._zero(self._names.get(own, f"d{own}"), f"{prefix}{dot}")
            parts = ["its gradient is exactly 0", zero]
        return "; ".join([*parts, *self._saturated(f"{prefix}{dot}")])

    def _zero(self, name: str, prefix: str) -> str:
        """Follow a gradient that is exactly 0 to the equation that makes it so, within one layer."""
        share = self.tape.shares.get(f"{prefix}{name}")
        over_time = self._at(name, prefix) if share is None else share
        steps = [t for t in range(over_time.shape[-1]) if np.any(over_time[..., t])]
        if steps and share is not None:
            return "the shares of its steps add up to 0"
        if steps:
            return f"{self.printer.name(name)} is 0 before step {steps[0]}: it vanished on the way"
        backward = {equation.name: equation for equation in self.table.of("backward")}
        leaves = [leaf.name for leaf in backward[name].expression.leaves()]
        zeros = [q for q in leaves if q in self.table.per_step and not np.any(self._at(q, prefix))]
        for leaf in sorted(
            zeros, key=lambda leaf: leaf not in backward
        ):  # what leads on comes first
            if leaf in backward:
                return self._zero(leaf, prefix)
            if not leaf.endswith("_next"):
                return f"{self.printer.name(leaf)} is 0 at every step"
        left, right = self.printer.equation(backward[name])
        return f"{left} = {right} is 0 at every step"

    def _at(self, name: str, prefix: str) -> Array:
        """A quantity of a layer, or one that is not a layer's; 1 for what a layer is given."""
        tape = self.tape
        return tape[f"{prefix}{name}"] if f"{prefix}{name}" in tape else tape.get(name, np.ones(1))

    def _saturated(self, prefix: str) -> list[str]:
        """Name every activation of which at least a tenth of the entries pass no gradient on."""
        found = []
        for equation in self.table.of("forward"):
            g = ACTIVATIONS.get(equation.expression.operation)
            if g is None or equation.name == "y_hat":
                continue
            value = self._at(equation.name, prefix)
            passed_on = np.abs(g.backward(np.ones_like(value), value))
            share = float(np.mean(passed_on < 8 * np.finfo(value.dtype).eps))
            if share >= 0.1:
                left, right = self.printer.equation(equation)
                found.append(f"{share:.0%} of {left} = {right} is saturated")
        return found
