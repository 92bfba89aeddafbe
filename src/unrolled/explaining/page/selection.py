"""What of a calculation is shown where it is too large to show all of it, and the sentence that says so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.equations.evaluation import Moment
from unrolled.equations.table import Key
from unrolled.explaining.explanation import Explanation
from unrolled.notation import DIMENSIONS

Array = Any
CAPS = (
    12,
    8,
    6,
    4,
)  # how many entries of an axis, and steps, are shown at most: the first that fits
MOST_SHOWN = 10_000  # numbers that are computed and shown, before CAPS go down
MOST_NUMBERS = 120_000  # that a page carries to be pointed at, and of what is given, to be edited


@dataclass(frozen=True)
class Selection:
    """Which rows, columns and steps of an explanation are shown, and how much of it is carried along."""

    explanation: Explanation

    @cached_property
    def cap(self) -> int:
        """How many entries of an axis, and how many steps, are shown at most."""
        return next((cap for cap in CAPS if self._shown(cap) <= MOST_SHOWN), CAPS[-1])

    def _shown(self, cap: int) -> int:
        """How many numbers are shown under a cap."""
        sizes = {axis: min(size, cap) for axis, size in self.explanation.sizes.items()}
        shapes = (moment.equation.shape for moment in self.explanation.moments)
        counts = sum(math.prod(sizes.get(str(axis), 1) for axis in shape) for shape in shapes)
        return counts * sizes["T"] // self.explanation.T

    @cached_property
    def axes(self) -> dict[str, list[int]]:
        """For each axis, n_x, n_a, n_y and m, the indices that are shown."""
        return {axis: self._chosen(axis) for axis in ("n_x", "n_a", "n_y", "m")}

    def indices(self, axis: str | int) -> list[int]:
        """Return which indices of an axis are shown."""
        return [0] if axis == 1 else self.axes[str(axis)]

    @cached_property
    def steps(self) -> list[int]:
        """The steps that are shown: all, or the first and the last ones."""
        T, half = self.explanation.T, self.cap // 2
        return [*range(T)] if self.cap >= T else [*range(half), *range(T - half, T)]

    @cached_property
    def places(self) -> list[int]:
        """Which of all moments are shown."""
        shown = {None, *self.steps}
        return [n for n, moment in enumerate(self.explanation.moments) if moment.t in shown]

    @cached_property
    def moments(self) -> list[Moment]:
        """The moments that are shown."""
        return [self.explanation.moments[n] for n in self.places]

    @cached_property
    def whole(self) -> bool:
        """Whether the page carries whole arrays of the steps that are shown, not only what is shown."""
        sizes = sum(self.explanation.value(*key).size for key in self.computed)
        return bool(sizes <= MOST_NUMBERS)

    @cached_property
    def editable(self) -> bool:
        """Whether all that is given is carried, so that it can be changed."""
        return bool(sum(v.size for v in self.explanation.given.values()) <= MOST_NUMBERS)

    @cached_property
    def computed(self) -> list[Key]:
        """What is computed at the moments that are shown."""
        return [moment.key for moment in self.moments]

    @cached_property
    def beside(self) -> list[Key]:
        """What those are computed from at steps that are not shown: of the steps before and behind."""
        table, found = self.explanation.table, dict[Key, None]()
        for moment in self.moments:
            expression, t = moment.equation.expression, moment.t
            if t is None:
                continue
            if expression.operation == "next":
                found[expression.operands[0].name, t + 1] = None
            else:
                found |= dict.fromkeys(table.placed(name, t) for name in expression.names)
        return [
            (name, t)
            for name, t in found
            if t is not None and t not in (*self.steps, self.explanation.T)
        ]

    @property
    def notes(self) -> list[str]:
        """What is left out, in sentences."""
        found = []
        for axis, indices in self.axes.items():
            size = self.explanation.sizes[axis]
            if len(indices) < size:
                listed = ", ".join(map(str, indices))
                found.append(f"Of the {size} {DIMENSIONS[axis]} ({axis}) {_WHY[axis]}: {listed}.")
        T = self.explanation.T
        if len(self.steps) < T:
            half = self.cap // 2
            found.append(
                f"Of the {T} steps the first {half} and the last {half} are shown; all are computed."
            )
        if not self.whole:
            found.append("Sums over what is not shown are written as far as it is.")
        if not self.editable:
            found.append("It is too large to be changed on the page.")
        return found

    def _chosen(self, axis: str) -> list[int]:
        size = self.explanation.sizes[axis]
        if size <= self.cap:
            return [*range(size)]
        if axis == "m":
            return [*range(self.cap)]
        named = "da" if "da" in self.explanation.table.shapes else "da_prev"
        names = {"n_x": ["x"], "n_a": [named], "n_y": ["y", "y_hat"]}[axis]
        total = sum(
            np.abs(np.nan_to_num(self.explanation.value(name, t))).sum(axis=1)
            for name in names for t in range(self.explanation.T)
        )  # fmt: skip
        most: Sequence[int] = np.argsort(-total, kind="stable")[: self.cap].tolist()
        return sorted(most)


_WHY = {
    "n_x": "those with the largest inputs are shown", "n_y": "those that matter most are shown",
    "n_a": "those are shown whose state has the largest gradients", "m": "the first are shown",
}  # fmt: skip
