"""What one run leaves behind: every named quantity at every step, readable by name."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.batch import Batch
from unrolled.engines.reference import Kept
from unrolled.equations.step import Step
from unrolled.one_hot import OneHot

Array = Any


class Tape(Mapping[str, Array]):
    """The quantities of one run, by the legend's names.

    `tape["z_a"]` is (n_a, m, T), the steps along the last axis; `tape["dW_aa"]` is the gradient,
    summed over the steps, in the parameter's shape; `tape[t]` is everything at step t, by name,
    with the share of step t for the gradients of parameters (all steps of it: `tape.shares`).
    `state` is the final state, `loss` the loss or None, `gradients` the totals or None.
    """

    def __init__(
        self, step: Step, parameters: Mapping[str, Array], batch: Batch, kept: Kept,
        state: dict[str, Array], loss: float | None = None, found: Kept | None = None,
        gradients: dict[str, Array] | None = None,
    ):  # fmt: skip
        self.step = step
        self.parameters = parameters
        self.batch = batch
        self.state = state
        self.loss = loss
        self.sizes = {"n_x": batch.n_x, "n_a": len(batch.state["a"]), "n_y": batch.n_y}
        self.kept = kept
        self.gradients = gradients
        arrays = kept.arrays | (found.arrays if found else {})
        totals = (gradients or {}).values()
        for array in (*arrays.values(), *totals, batch.X, *batch.state.values()):
            array.flags.writeable = False  # a later backward reads them
        names = {f"d{name}" for name in parameters}
        self.shares = {name: array for name, array in arrays.items() if name in names}
        self._arrays = _given(step, batch, arrays) | {
            name: array for name, array in arrays.items() if name not in names
        }
        self._totals = {f"d{n}": total for n, total in (gradients or {}).items() if n != "x"}
        if loss is not None:
            self._totals["loss"] = np.asarray(loss)

    def __getitem__(self, key: str | int) -> Array:
        if isinstance(key, str):
            if key not in self:
                raise KeyError(f"{key} is not on this tape: it has {', '.join(self)}")
            return self._totals[key] if key in self._totals else self._over_time(key)
        if isinstance(key, bool) or not isinstance(key, int | np.integer):
            raise KeyError(f"{key!r} is not on this tape: expected a name, or a step t")
        if not -self.batch.T <= key < self.batch.T:
            raise IndexError(f"step {key} is not on this tape: it has T = {self.batch.T} steps")
        t, given = key % self.batch.T, self.batch.given(key % self.batch.T)
        if isinstance(given["x"], OneHot):
            given["x"] = given["x"].dense()
        steps = {name: array[..., t] for name, array in (self._arrays | self.shares).items()}
        return StepValues(t, {**steps, **given})

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._arrays, *self._totals]))

    def __contains__(self, key: object) -> bool:
        return key in self._arrays or key in self._totals

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        lines = notation.columns(self._rows())
        return "\n".join([self._title(), *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        rows = [[html.escape(cell) for cell in row] for row in self._rows()]
        body = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows)
        heads = "".join(f"<th>{name}</th>" for name in ("", "name", "shape", "range", "numbers"))
        return (
            f"<table style='white-space: nowrap; text-align: left'><caption>{html.escape(self._title())}</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _over_time(self, name: str) -> Array:
        """All steps of a quantity; labels become one-hot columns when they are asked for."""
        return self.batch.columns(name) if name in ("x", "y") else self._arrays[name]

    def _title(self) -> str:
        batch = self.batch
        loss = "" if self.loss is None else f", loss {self.loss:.6g}"
        sizes = {**self.sizes, "m": batch.m, "T": batch.T}
        listed = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        return f"{type(self).__name__} of {self.step.cell.name}: {listed}{loss}"

    def _rows(self) -> list[list[str]]:
        """For each quantity: symbol, name in code, shape, range, and its first numbers."""
        rows = []
        for name in self:
            value = self[name]
            symbol = notation.entry(name).text
            over_time = name in self._arrays and name not in self._totals
            if name.removesuffix("_prev") in self.step.states and name.endswith("_prev"):
                symbol += "⟨t−1⟩"
            elif over_time:
                symbol += "⟨t⟩"
            rows.append([symbol, name, str(np.shape(value)), _range(value), _first(value)])
        return rows


class StepValues(dict[str, Array]):
    """Everything of one step, by name."""

    def __init__(self, t: int, values: Mapping[str, Array]):
        super().__init__(values)
        self.t = t

    def __missing__(self, name: str) -> Array:
        raise KeyError(f"{name} is not among the quantities of step {self.t}: {', '.join(self)}")

    def __repr__(self) -> str:
        blocks = []
        for name, value in self.items():
            at = f"{self.t - 1}" if name.endswith("_prev") and not name.startswith("d") else self.t
            head = f"{notation.entry(name).text}⟨{at}⟩ ({name}), {np.shape(value)}"
            blocks.append(f"{head}\n{np.array2string(value, precision=6, threshold=60)}")
        return "\n".join([f"step t = {self.t}", *blocks])


def _given(step: Step, batch: Batch, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """What the run was given, and the previous states, which are the states one step later."""
    given = {"x": batch.X}
    if batch.targets:
        given |= {"y": batch.Y, "omega": batch.share[None]}
    for state in step.states:
        start = batch.state[state][:, :, None]
        given[f"{state}_prev"] = np.concatenate([start, arrays[state][:, :, :-1]], axis=2)
    return given


def _range(value: Array) -> str:
    lowest, highest = np.min(value) + 0.0, np.max(value) + 0.0  # + 0 turns −0 into 0
    return f"{lowest:.4g}" if lowest == highest else f"{lowest:.4g} … {highest:.4g}"


def _first(value: Array, count: int = 4) -> str:
    flat = np.ravel(value, order="F")
    more = " …" if flat.size > count else ""
    return " ".join(f"{number + 0.0:.4g}" for number in flat[:count]) + more
