"""The reference engine: calls the cell file itself, step by step, on arrays of any dtype.

Slow and plain on purpose: a breakpoint in a cell stops here with ordinary arrays, a complex array
makes it a complex-step derivative, an array of another library differentiates it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.engines import Kept, Sequences
from unrolled.equations.step import Stage
from unrolled.equations.table import record_stage
from unrolled.functions import namespace
from unrolled.one_hot import OneHot

Array = Any


def forward(
    stage: Stage, parameters: Mapping[str, Array], sequences: Sequences,
    keep: frozenset[str] | None, memory: dict[str, Any] | None = None,
) -> Kept:  # fmt: skip
    """Run the stage over the sequences, t = 0 … T−1, or back from T−1 where they are reversed.

    Returns what was kept of the names in `keep` (None: of all), with the final state and the loss.
    `memory` is a dictionary in which an engine may hold buffers for the next call of the same run;
    what it returned is then good until that call.
    """
    record, state, loss = _Record(stage, sequences, keep), dict(sequences.state), 0.0
    for t, m in sequences.steps():
        known = {f"{name}_prev": value[:, :m] for name, value in state.items()}
        computed = stage.forward({**parameters, **_at(stage, sequences.given, t, m), **known})
        state = {name: _first(state[name], computed[name]) for name in state}
        loss = loss + (computed["loss"][0, 0] if "loss" in computed else 0.0)
        record.put(t, known | computed)
    return Kept(record.arrays(), state, loss)


def backward(
    stage: Stage, parameters: Mapping[str, Array], sequences: Sequences, kept: Kept,
    upstream: Mapping[str, Array], keep: frozenset[str] | None,
    memory: dict[str, Any] | None = None,
) -> tuple[Kept, dict[str, Array]]:  # fmt: skip
    """Go back over a run, from its last step to its first.

    `upstream` holds gradients from outside: those that the stage takes at each step, what is to be
    added to others of its gradients, each with T steps, and, as `d<state>_T`, those of the final
    state, which are optional. Returns what was kept of the gradients in `keep` (None: of all), and
    the totals: one gradient for each parameter and, as `<state>0`, for each initial state.
    """
    record = _Record(stage, sequences, keep)
    outside = {name: value for name, value in upstream.items() if not name.endswith("_T")}
    totals = {n: np.zeros(parameters[n].shape, parameters[n].dtype) for n in stage.parameters}
    back = {s: upstream.get(f"d{s}_T", np.zeros_like(v)) for s, v in sequences.state.items()}
    for t, m in reversed(list(sequences.steps())):
        added = _at(stage, outside, t, m)
        following = {
            f"d{s}_next": gradient[:, :m] + added.get(f"d{s}_next", 0)
            for s, gradient in back.items()
        }
        known = _at(stage, {**sequences.given, **kept.arrays}, t, m) | added | following
        computed = stage.backward({**parameters, **known}, added)
        back = {s: _first(gradient, computed[f"d{s}_prev"]) for s, gradient in back.items()}
        for name, total in totals.items():
            total += computed[f"d{name}"]
        record.put(t, following | computed)
    return Kept(record.arrays()), totals | {f"{s}0": gradient for s, gradient in back.items()}


def _at(stage: Stage, arrays: Mapping[str, Array], t: int, m: int) -> dict[str, Array]:
    """Return step t of the first m sequences; labels y are columns, for they meet no product."""
    shapes = record_stage(stage)[1]
    found = {
        name: array[:, :m, t] if shapes[name][1] == "m" else array[:, :, t]
        for name, array in arrays.items()
    }
    if isinstance(found.get("y"), OneHot):
        found["y"] = found["y"].dense()
    return found


def _first(whole: Array, part: Array) -> Array:
    """Return `whole` with its first sequences as in `part`."""
    if part.shape == whole.shape:
        return part
    return np.concatenate([part, whole[:, part.shape[1] :]], axis=1)


class _Record:
    """Collects the wanted values of every step."""

    def __init__(self, stage: Stage, sequences: Sequences, keep: frozenset[str] | None):
        self.shapes = record_stage(stage)[1]
        self.keep, self.m, self.T = keep, sequences.m, sequences.T
        self.values: dict[str, dict[int, Array]] = {}

    def put(self, t: int, values: Mapping[str, Array]) -> None:
        for name, value in values.items():
            if isinstance(value, OneHot):
                value = value.dense()
            if self.keep is None or name in self.keep:
                self.values.setdefault(name, {})[t] = value

    def arrays(self) -> dict[str, Array]:
        """Return each quantity with the steps along its last axis, 0 where a sequence is over."""
        return {name: self._over_time(name, values) for name, values in self.values.items()}

    def _over_time(self, name: str, values: dict[int, Array]) -> Array:
        xp = namespace(*values.values())
        if xp is not np:
            return xp.stack([values[t] for t in sorted(values)], -1)
        rows, columns = next(iter(values.values())).shape
        shape = (rows, self.m if self.shapes[name][1] == "m" else columns, self.T)
        whole = np.zeros(shape, np.result_type(*values.values()), order="F")
        for t, value in values.items():
            whole[:, : value.shape[1], t] = value
        return whole
