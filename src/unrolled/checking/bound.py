"""A binding as a plan: what a person's few lines return by the legend's names is judged as outputs are."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unrolled.checking.binding import Binding
from unrolled.checking.calling import Outcome, Output, Reading
from unrolled.checking.problems import Problem, Truth

Array = Any


@dataclass(frozen=True)
class BoundPlan:
    """Runs a program through a binding, which gives and takes arrays in the legend's layout."""

    binding: Binding
    readings: tuple[Reading, ...] = field(default=(Reading(""),))
    columns: bool = True
    transposed: bool = False
    labels: bool = False
    one_column: bool = False
    one_step: bool = False
    last_only: bool = False
    tied: bool = False
    handed: frozenset[str] = frozenset()
    fixed: Mapping[str, int] = field(default_factory=dict)
    unclear: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def cell(self) -> str:
        return self.binding.cell

    @property
    def has_loss(self) -> bool:
        return self.binding.loss

    @property
    def given(self) -> frozenset[str]:
        states = {"a", "c"} if self.cell == "lstm" else {"a"}
        return frozenset(states if self.binding.states is None else self.binding.states)

    def describe(self) -> str:
        """Return in one line what is run."""
        return "the binding's run(module, problem)"

    def problem(self, problem: Problem, reading: Reading) -> Problem:
        """Return the problem itself: a binding uses the legend's names."""
        return problem

    def run(
        self, namespace: dict[str, Any], problem: Problem, again: str = "",
        locked: Collection[str] = (),
    ) -> Outcome:  # fmt: skip
        """Run the program on a problem; what it raises is in the outcome. Nothing can be locked."""
        outcome = Outcome()
        try:
            outcome.outputs = self._outputs(namespace, problem)
            if again:
                outcome.again = self._outputs(namespace, problem)
            outcome.stage = "done"
        except (Exception, SystemExit) as error:
            outcome.error = error
        return outcome

    def _outputs(self, namespace: dict[str, Any], problem: Problem) -> list[Output]:
        found = self.binding.run(namespace, problem)
        return [Output(name, name, value) for name, value in found.items()]

    def expected(
        self, output: Output, truth: Truth, reading: Reading | None = None
    ) -> Array | None:
        """Return the right value of an output: a total, or a quantity at all steps or at the last."""
        name = output.quantity
        if name in truth.totals:
            return np.asarray(truth.totals[name])
        if name not in truth.steps[0]:
            return None
        if np.ndim(output.value) < 3:
            return np.asarray(truth.steps[-1][name])
        return np.stack([step[name] for step in truth.steps], axis=-1)

    def to_legend(self, quantity: str, array: Array) -> Array:
        """Return an array of theirs in the legend's layout, which a binding uses."""
        return array

    def to_theirs(self, quantity: str, array: Array) -> Array:
        """Return an array in their layout: their own is not known, the legend's is taken."""
        return array
