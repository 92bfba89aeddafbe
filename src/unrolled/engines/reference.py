"""The reference engine: calls the cell file itself, step by step, on arrays of any dtype.

Slow and plain on purpose: a breakpoint in a cell stops here with ordinary arrays, a complex array
makes it a complex-step derivative, an array of another library differentiates it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.equations.step import Step

Array = Any


@dataclass
class Kept:
    """What a run leaves behind: for each name an array with the steps along its last axis.

    Only names in `wanted` are kept; None keeps everything.
    """

    wanted: frozenset[str] | None
    T: int
    arrays: dict[str, Array] = field(default_factory=dict)

    def put(self, t: int, values: Mapping[str, Array]) -> None:
        """Keep the wanted ones of the values of step t."""
        for name, value in values.items():
            if self.wanted is None or name in self.wanted:
                if name not in self.arrays:
                    shape = (*value.shape, self.T)
                    self.arrays[name] = np.empty(shape, dtype=value.dtype, order="F")
                elif value.dtype != self.arrays[name].dtype:  # complex from some step on
                    self.arrays[name] = self.arrays[name].astype(value.dtype)
                self.arrays[name][..., t] = value

    def at(self, t: int) -> dict[str, Array]:
        """Return what was kept of step t, by name."""
        return {name: array[..., t] for name, array in self.arrays.items()}


def forward(
    step: Step, parameters: Mapping[str, Array], batch: Batch, keep: frozenset[str] | None
) -> tuple[Kept, dict[str, Array], Array]:
    """Run the step over the batch, t = 0 … T−1.

    Returns what was kept of the names in `keep` (None: of all), the final state by name, each
    (n_a, m), and the loss (0 without targets).
    """
    kept, state, loss = Kept(keep, batch.T), batch.state, 0.0
    for t in range(batch.T):
        previous = {f"{name}_prev": value for name, value in state.items()}
        known = {**parameters, **batch.given(t), **previous}
        computed = step.forward(known, batch.targets)
        state = {name: computed[name] for name in step.states}
        if batch.targets:
            loss = loss + computed["loss"][0, 0]
        kept.put(t, computed)
    return kept, state, loss


def backward(
    step: Step, parameters: Mapping[str, Array], batch: Batch, kept: Kept,
    upstream: Mapping[str, Array], keep: frozenset[str] | None,
) -> tuple[Kept, dict[str, Array]]:  # fmt: skip
    """Go back over a run, t = T−1 … 0.

    `upstream` holds gradients from outside by contribution (dy_hat, dz_y, da_y, each with T steps;
    `d<state>_next` likewise) and, as `d<state>_T`, those of the final state; all are optional.
    Returns what was kept of the gradients in `keep` (None: of all), and the totals: one gradient
    for each parameter and, as `<state>0`, for each initial state.
    """
    given = Kept(None, batch.T, {n: u for n, u in upstream.items() if not n.endswith("_T")})
    totals = {name: np.zeros(value.shape, value.dtype) for name, value in parameters.items()}
    handed_back = {s: upstream.get(f"d{s}_T", np.zeros_like(batch.state[s])) for s in step.states}
    found = Kept(keep, batch.T)
    for t in reversed(range(batch.T)):
        outside = given.at(t)
        earlier = batch.state if t == 0 else {s: kept.arrays[s][..., t - 1] for s in step.states}
        previous = {f"{s}_prev": value for s, value in earlier.items()}
        following = {
            f"d{s}_next": gradient + outside.get(f"d{s}_next", 0)
            for s, gradient in handed_back.items()
        }
        known = {**parameters, **batch.given(t), **kept.at(t), **previous, **outside, **following}
        computed = step.backward(known, outside, batch.targets)
        handed_back = {s: computed[f"d{s}_prev"] for s in step.states}
        for name, total in totals.items():
            total += computed[f"d{name}"]
        found.put(t, {**following, **computed})
    return found, totals | {f"{s}0": gradient for s, gradient in handed_back.items()}
