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
        parts = ["rounding is as large as its gradient"]
        if not np.any(gradient):
            parts = ["its gradient is exactly 0", self._zero(self._names.get(name, f"d{name}"))]
        return "; ".join([*parts, *self._saturated()])

    def _zero(self, name: str) -> str:
        """Follow a gradient that is exactly 0 to the equation that makes it so."""
        over_time = self.tape.shares[name] if name in self.tape.shares else self.tape[name]
        steps = [t for t in range(over_time.shape[-1]) if np.any(over_time[..., t])]
        if steps and name in self.tape.shares:
            return "the shares of its steps add up to 0"
        if steps:
            return f"{self.printer.name(name)} is 0 before step {steps[0]}: it vanished on the way"
        backward = {equation.name: equation for equation in self.table.of("backward")}
        leaves = [leaf.name for leaf in backward[name].expression.leaves()]
        zeros = [q for q in leaves if q in self.table.per_step and not np.any(self.tape[q])]
        for leaf in sorted(
            zeros, key=lambda leaf: leaf not in backward
        ):  # what leads on comes first
            if leaf in backward:
                return self._zero(leaf)
            if not leaf.endswith("_next"):
                return f"{self.printer.name(leaf)} is 0 at every step"
        left, right = self.printer.equation(backward[name])
        return f"{left} = {right} is 0 at every step"

    def _saturated(self) -> list[str]:
        """Name every activation of which at least a tenth of the entries pass no gradient on."""
        found = []
        for equation in self.table.of("forward"):
            g = ACTIVATIONS.get(equation.expression.operation)
            if g is None or equation.name == "y_hat":
                continue
            value = self.tape[equation.name]
            passed_on = np.abs(g.backward(np.ones_like(value), value))
            share = float(np.mean(passed_on < 8 * np.finfo(value.dtype).eps))
            if share >= 0.1:
                left, right = self.printer.equation(equation)
                found.append(f"{share:.0%} of {left} = {right} is saturated")
        return found
