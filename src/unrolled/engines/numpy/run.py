"""One run of a program on its workspace: products over all time, blocks of steps, the loop, totals."""

import functools
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.engines.numpy.program import OTHERS, Function, Names
from unrolled.engines.numpy.workspace import Workspace
from unrolled.equations.operations import Product, Total
from unrolled.one_hot import OneHot

Array = Any
_ROWS = 4096  # that are added in one go, lest float32 loses digits


class Run:
    """Runs a program with parameters, on what is given at each step."""

    def __init__(
        self, workspace: Workspace, parameters: Mapping[str, Array], given: Mapping[str, Array]
    ):
        self.workspace, self.program = workspace, workspace.program
        workspace.given = given
        schedule, dtype = self.program.schedule, workspace.dtype
        known = dict(parameters)
        for name, e in schedule.constants.items():
            known[name] = np.asarray(e.value_of(known), dtype)
        self.columns = {name: value.T for name, value in known.items()}
        self.totals = {
            name: np.zeros(workspace.place_shape(("quantity", (name,))), dtype)
            for name, _ in schedule.shares
        }

    def run(self, start: Mapping[str, Array]) -> dict[str, Array]:
        """Run it all from where the states, or their gradients, start; return the totals by name."""
        program, workspace = self.program, self.workspace
        for phase in program.before:
            self._over_all(phase)
        workspace.begin(start)
        self._in_blocks(program.ahead, program.loop)
        workspace.clear()
        for phase in program.after:
            self._over_all(phase)
        if program.after:
            workspace.clear()
        found = {name: np.asfortranarray(total.T) for name, total in self.totals.items()}
        for names, lefts, right in program.stacked_totals:
            found |= self._stacked_total(names, lefts, right)
        return found | {total.name: self._total(total) for total in program.other_totals}

    def kept_constants(self, keep: frozenset[str] | None) -> dict[str, Array]:
        """Return what was asked for and comes from parameters only, the same at each step."""
        T = self.workspace.T
        return {
            name: np.broadcast_to(self.columns[name].T[..., None], (*self.columns[name].T.shape, T))
            for name in self.program.schedule.constants
            if "." not in name and (keep is None or name in keep)
        }

    def _in_blocks(self, ahead: Function | None, loop: Function | None) -> None:
        """Run a function over blocks of steps, and after each block the loop over its steps."""
        workspace, T = self.workspace, self.workspace.T
        back = workspace.sequences.reverse == (self.program.direction == "forward")
        size = T if ahead is None else workspace.block
        blocks = [(t, min(t + size, T)) for t in range(0, T, size)]
        blocks = blocks[::-1] if back else blocks
        functions = [f for f in (ahead, loop) if f is not None]
        constants = [[self._constant(*key) for key in f.constants] for f in functions]
        bound = [workspace.bind(f, blocks, f is loop, back) for f in functions]
        for block, *steps in zip(blocks, *bound, strict=True):
            for function, over, known in zip(functions, steps, constants, strict=True):
                if function is loop:
                    workspace.fill(*block)
                function.function(over, *known)

    def _over_all(self, phase: Product | Function) -> None:
        """Run a product, or a function block by block, over all time."""
        if isinstance(phase, Function):
            self._in_blocks(phase, None)
        elif phase.transposed:
            self._summed_product(phase)
        else:
            self._stacked_product(phase)

    def _stacked_product(self, op: Product) -> None:
        operand = self.workspace.matrix(*op.operands)
        for names, weights in self.program.runs(op.names, op.weights):
            W, out = self._rows(weights), self.workspace.matrix(*names)
            if isinstance(operand, OneHot):
                out[:] = W.take(operand.labels, axis=0)
            elif out.flags.c_contiguous:
                operand.dot(W, out)
            else:
                np.matmul(operand, W, out=out)

    def _summed_product(self, op: Product) -> None:
        out = self.workspace.matrix(*op.names)
        for k, (names, weights) in enumerate(self.program.runs(op.operands, op.weights)):
            columns, W = self.workspace.matrix(*names), self._columns(weights)
            if k:
                out += columns.dot(W)
            else:
                columns.dot(W, out)

    def _stacked_total(self, names: Names, lefts: Names, right: str) -> dict[str, Array]:
        """Return several Σ_t of left⟨t⟩ right⟨t⟩ᵀ with one right side: one product of all columns."""
        columns, flat = self.workspace.matrix(right), self.workspace.running_matrix(*lefts)
        if isinstance(columns, OneHot):
            parts = np.split(flat.T @ columns.T, len(names))
        else:
            parts = [part.T for part in np.split(columns.T.dot(flat), len(names), axis=1)]
        return dict(zip(names, map(np.asfortranarray, parts), strict=True))

    def _total(self, total: Total) -> Array:
        parts = [self._part(left, right) for _, left, right in total.terms]
        signed = [p if sign > 0 else -p for (sign, *_), p in zip(total.terms, parts, strict=True)]
        return np.asfortranarray(functools.reduce(operator.add, signed))

    def _part(self, left: str, right: str) -> Array:
        """Return Σ_t of left⟨t⟩ right⟨t⟩ᵀ, or of the columns of left⟨t⟩."""
        if not right:
            return _over_columns(self.workspace.running_matrix(left))
        return self._stacked_total(("",), (left,), right)[""]

    def _constant(self, kind: str, what: Any) -> Any:
        """What a constant of a function is in this run."""
        if kind == "number":
            return np.array(what, self.workspace.dtype)
        if kind == "function":
            return OTHERS[what]
        if kind == "total":
            return self.totals[what]
        if kind == "parameter":
            parts = [self.columns[name] for name in what]
            return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if kind == "columns":
            return self._columns(what)
        side_by_side = self.workspace.is_side_by_side(self.columns[what[0]].shape[1], len(what))
        if kind == "product":
            return np.dot if side_by_side else np.matmul
        return self._rows(what, side_by_side)

    def _rows(self, weights: Names, side_by_side: bool = True) -> Array:
        """Return the transposed weights side by side, [W_1; W_2; …]ᵀ, or one behind the other."""
        transposed = [self.columns[name] for name in weights]
        if len(weights) == 1:
            return transposed[0]
        return np.concatenate(transposed, axis=1) if side_by_side else np.stack(transposed)

    def _columns(self, weights: Names) -> Array:
        """Return [W_1; W_2; …], for a sum of products with the transposed weights."""
        parts = [self.columns[name].T for name in weights]
        rows = sum(map(len, parts))  # in C order: a product takes half as long again without it
        out = np.empty((rows, parts[0].shape[1]), self.workspace.dtype)
        return np.concatenate(parts, out=out)


def _over_columns(rows: Array) -> Array:
    """Return the sum of all rows as a column; products with ones, in blocks, are fast and exact."""
    ones = np.ones(min(len(rows), _ROWS), rows.dtype)
    if len(rows) <= _ROWS:
        return ones.dot(rows)[:, None]
    parts = [rows[k : k + _ROWS] for k in range(0, len(rows), _ROWS)]
    return np.add.reduce([ones[: len(part)].dot(part) for part in parts])[:, None]
