"""What one run leaves behind: every named quantity at every step, readable by name."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.engines import Kept
from unrolled.equations.step import EMBEDDING_STAGE
from unrolled.equations.table import record_stage
from unrolled.one_hot import OneHot
from unrolled.unrolling import Unrolled

Array = Any


class Tape(Mapping[str, Array]):
    """The quantities of one run, by the legend's names.

    `tape["z_a"]` is (n_a, m, T), the steps along the last axis; `tape["dW_aa"]` is the gradient,
    summed over the steps, in the parameter's shape; `tape[t]` is everything at step t, by name,
    with the share of step t for the gradients of parameters (all steps of it: `tape.shares`).
    `state` is the final state, `loss` the loss or None, `gradients` the totals or None.
    """

    def __init__(
        self, run: Unrolled, found: Mapping[str, Kept] | None = None,
        gradients: Mapping[str, Array] | None = None,
    ):  # fmt: skip
        self.unrolled, self.gradients = run, gradients
        self.architecture, self.batch = run.architecture, run.batch
        self.parameters, self.sizes = run.parameters, run.architecture.sizes
        self.state = {name: run.batch.as_given(value) for name, value in run.state.items()}
        self.loss = None if run.batch.Y is None else float(run.loss)
        names = {_gradient(name) for name in run.architecture.parameters}
        arrays = self._given() | self._kept(run.kept) | self._kept(found or {})
        self.shares = {name: array for name, array in arrays.items() if name in names}
        self._arrays = {name: array for name, array in arrays.items() if name not in names}
        totals = {_gradient(n): total for n, total in (gradients or {}).items() if n != "x"}
        self._totals = totals | ({} if self.loss is None else {"loss": np.asarray(self.loss)})
        for array in (*arrays.values(), *totals.values(), *run.arrays()):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False  # a later backward reads them

    def _given(self) -> dict[str, Array]:
        """What the run was given: labels as one-hot columns, when they are asked for."""
        batch = self.batch
        given = (
            {"x": batch.X}
            if batch.Y is None
            else {"x": batch.X, "y": batch.Y, "omega": batch.share}
        )
        return {
            name: array if isinstance(array, OneHot) and batch.order is None
            else batch.as_given(array.dense() if isinstance(array, OneHot) else array)
            for name, array in given.items()
        }  # fmt: skip

    def _kept(self, kept: Mapping[str, Kept]) -> dict[str, Array]:
        """All that stages kept, by full names, with the sequences as they were given."""
        architecture, found = self.architecture, {}
        stages = {"embedding": EMBEDDING_STAGE, "head": self.unrolled.head_stage}
        for key, values in kept.items():
            shapes = record_stage(stages.get(key, architecture.step.recurrence))[1]
            prefix = "" if key in stages else key
            if prefix and "a" in values.arrays and prefix == architecture.sweeps[-1][0].prefix:
                found["a"] = self.batch.as_given(self.unrolled.outputs)
            for name, array in values.arrays.items():
                wide = shapes[name][1] == "m"
                found[f"{prefix}{name}"] = self.batch.as_given(array) if wide else array
        return found

    def __getitem__(self, key: str | int) -> Array:
        if isinstance(key, str):
            if key not in self:
                raise KeyError(f"{key} is not on this tape: it has {', '.join(self)}")
            return self._totals[key] if key in self._totals else self._over_time(key)
        if isinstance(key, bool) or not isinstance(key, int | np.integer):
            raise KeyError(f"{key!r} is not on this tape: expected a name, or a step t")
        if not -self.batch.T <= key < self.batch.T:
            raise IndexError(f"step {key} is not on this tape: it has T = {self.batch.T} steps")
        t, every = key % self.batch.T, self._arrays | self.shares
        return StepValues(t, {name: _dense(array[:, :, t]) for name, array in every.items()})

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
        return _dense(self._arrays[name])

    def _title(self) -> str:
        batch = self.batch
        loss = "" if self.loss is None else f", loss {self.loss:.6g}"
        sizes = {**self.sizes, "m": batch.m, "T": batch.T}
        listed = ", ".join(f"{name} = {size}" for name, size in sizes.items())
        return f"{type(self).__name__} of {self.architecture.step.cell.name}: {listed}{loss}"

    def _rows(self) -> list[list[str]]:
        """For each quantity: symbol, name in code, shape, range, and its first numbers."""
        rows = []
        for name in self:
            value = self[name]
            symbol = notation.entry(name).text
            over_time = name in self._arrays and name not in self._totals
            if name.endswith("_prev") and name.removesuffix("_prev") in self.architecture.states:
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


def _gradient(name: str) -> str:
    """The name of a parameter's gradient: dW_aa, layer0.forward.dW_aa."""
    prefix, dot, own = name.rpartition(".")
    return f"{prefix}{dot}d{own}"


def _dense(array: Array) -> Array:
    return array.dense() if isinstance(array, OneHot) else array


def _range(value: Array) -> str:
    lowest, highest = np.min(value) + 0.0, np.max(value) + 0.0  # + 0 turns −0 into 0
    return f"{lowest:.4g}" if lowest == highest else f"{lowest:.4g} … {highest:.4g}"


def _first(value: Array, count: int = 4) -> str:
    flat = np.ravel(value, order="F")
    more = " …" if flat.size > count else ""
    return " ".join(f"{number + 0.0:.4g}" for number in flat[:count]) + more
