"""A plan: one way to run a person's file on a problem, in their own layout, and what is right there."""

import ast
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.checking.calling import usage
from unrolled.checking.calling.entries import Entry, Way
from unrolled.checking.calling.layouts import (
    HIDDEN_SHARE,
    INNER,
    Layout,
    Reading,
    assembled,
    parts,
    taken_apart,
)
from unrolled.checking.calling.outputs import Output
from unrolled.checking.calling.run import Outcome, Run
from unrolled.checking.names import STARTS, is_parameter
from unrolled.checking.problems import Problem, Truth, draw
from unrolled.checking.running.program import SCRIPT

Array = Any
_SMALLEST_CLIP = 0.1  # a bound of 0 would be no clipping


@dataclass(frozen=True)
class Plan:
    """One way to run a file.

    `roles` says for each (function, argument) what it is given, `weights` what their names of weights
    stand for (in the order of their list), `containers` how an argument holds them, `sizes` what
    their names of sizes mean. `one_alphabet`: n_x is n_y, though no size says so. The rest is as in the layout:
    `labels` and `target_labels` for integers, `one_column` where there is no batch axis (m = 1),
    `one_step` where they take single steps (T = 1), `last_only` where only the last step has a target
    or a gradient from above. `fixed` are sizes that stand in the code as numbers,
    `unclear` says where that may be several. `apart` are names of weights that also say what holds them.
    `shared` are states whose start is learned, one for all sequences.
    `flat` are those of "x" and "y" that have no axis for features, for there is one only.
    """

    way: Way
    cell: str
    layout: Layout
    roles: Mapping[tuple[str, str], str]
    weights: Mapping[str, str]
    containers: Mapping[str, tuple[str, tuple[str, ...]]]
    sizes: Mapping[str, str]
    readings: tuple[Reading, ...]
    constructor: Entry | None = None
    labels: bool = False
    target_labels: bool = False
    one_column: bool = False
    one_step: bool = False
    last_only: bool = False
    fixed: Mapping[str, int] = field(default_factory=dict)
    unclear: str = ""
    apart: frozenset[str] = frozenset()
    flat: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    one_alphabet: bool = False

    @cached_property
    def stepped(self) -> frozenset[str]:
        """The weights of an object of which the backward only leaves the step W −= rate · dW."""
        rates = {name for (_, name), role in self.roles.items() if role == "rate"}
        return frozenset(usage.plain_steps(self.way.backward.node, rates) & self.weights.keys())

    @property
    def columns(self) -> bool:
        """Whether units are rows of their arrays: (n, m)."""
        return self.layout.columns

    @property
    def transposed(self) -> bool:
        """Whether input weights are (n_x, n_a) for them."""
        return self.layout.transposed

    @property
    def has_loss(self) -> bool:
        """Whether the backward starts from targets; else from an upstream gradient.

        Where it takes the gradient at the logits, that of the loss with share 1 is given.
        """
        given = set(self.roles.values())
        return "upstream" not in given and bool(given & {"y", "dz_y"})

    @property
    def repeats(self) -> bool:
        """Whether it is made to run more than once: not the straight lines of a script."""
        body = self.way.backward.node.body
        turn = body[-1].body[0] if isinstance(body[-1], ast.For) else body[0]
        return self.way.backward.name != SCRIPT or turn.col_offset > 0

    @property
    def given(self) -> frozenset[str]:
        """The initial states that they take; the others are zero."""
        roles = self.roles.values()
        tuples = [role.split()[1:] for role in roles if role.startswith("states ")]
        learned = {quantity[0] for quantity in self.weights.values() if quantity in STARTS}
        return frozenset({"a", "c"} & {*roles, *learned, *(s for states in tuples for s in states)})

    @property
    def handed(self) -> frozenset[str]:
        """What they are handed although it has an equation: the gradient at the logits."""
        return frozenset({"dz_y"} & set(self.roles.values()))

    @property
    def tied(self) -> bool:
        """Whether one size of theirs is both n_x and n_y."""
        if self.one_alphabet:
            return True
        kinds = {
            role.removeprefix("size ") for role in (*self.roles.values(), *self.sizes.values())
        }
        return "vocabulary" in kinds and "n_y" not in kinds

    def describe(self) -> str:
        """Return in one line what is run."""
        calls = [f"{e.name}({', '.join(e.arguments)})" for _, e in self.way.parts]
        of = f"{self.way.owner}: " if self.way.owner else ""
        axes = ", ".join(self.layout.step.split() if self.one_step else self.layout.axes.split())
        return f"{of}{', then '.join(calls)}; arrays ({axes})"

    def problem(self, problem: Problem, reading: Reading) -> Problem:
        """Return the same arrays for them with the legend's names in another reading.

        Biases that they do not have are zero.
        """
        found = dict(problem.parameters)
        for quantity in self.weights.values():
            if parts(quantity, self.cell) != [quantity] and quantity != INNER:
                theirs = assembled(quantity, problem.parameters, self.readings[0])
                found |= taken_apart(quantity, theirs, self.cell, problem.sizes["n_a"], reading)
        if INNER in self.weights.values():  # the sum is b_c, wherever the reset acts
            inner = HIDDEN_SHARE * found["b_c"]
            found |= {"b_c": found["b_c"] - inner, "b_ca": inner}
        held = {q for name in self.weights.values() for q in parts(name, self.cell)}
        absent = {n for n in problem.parameters if n[:1] == "b" and n not in held}
        values = {n: found[n] * 0 if n in absent else found[n] for n in problem.parameters}
        upstream = problem.dA.copy()
        upstream[:, :, :-1] *= not self.last_only
        alike = {s: problem.state[s][:, :1].repeat(problem.m, axis=1) for s in self.shared}
        return replace(
            problem, parameters=values, dA=upstream, last_only=self.last_only,
            state={**problem.state, **alike}, shared=self.shared,
        )  # fmt: skip

    def to_theirs(self, quantity: str, array: Array) -> Array:
        """Return an array of the legend's (one step, all steps or a parameter) in their layout."""
        return self.layout.own(quantity, array)

    def to_legend(self, quantity: str, array: Array) -> Array:
        """Return an array of theirs in the legend's layout."""
        return self.layout.legend(quantity, array)

    def expected(
        self, output: Output, truth: Truth, reading: Reading | None = None
    ) -> Array | None:
        """Return the right value of an output in their layout and shape; None where there is none.

        `truth` is that of `problem(problem, reading)`; the reading is the first one if none is given.
        """
        if output.quantity in ("z_y", "y_hat", "dz_y") and "y" in self.flat:
            return self._without_features(output, truth)
        if not _of_that_size(output, truth):
            return None
        try:
            array = self._right(output, truth, reading or self.readings[0])
        except (KeyError, IndexError):
            return None
        if array.shape != np.shape(output.value) and array.size == np.size(output.value):
            bias = output.quantity.removeprefix("d")[:1] == "b" or output.quantity == "loss"
            flat = [n for n in np.shape(output.value) if n != 1] == [
                n for n in array.shape if n != 1
            ]
            array = array.reshape(np.shape(output.value)) if bias or flat else array
        return _clipped(array, output)

    def _without_features(self, output: Output, truth: Truth) -> Array | None:
        """Return the right value of the only output, as targets are laid out; None if theirs is not."""
        axis = self.layout.axes.split().index("n")
        steps = np.stack([step[output.quantity] for step in truth.steps], axis=2)
        array = np.take(self.layout.over_time(steps), 0, axis=axis)
        return array if array.shape == np.shape(output.value) else None

    def _right(self, output: Output, truth: Truth, reading: Reading) -> Array:
        quantity, value = output.quantity, np.asarray(output.value)
        if quantity == "loss":
            return np.asarray(truth.totals["loss"])
        if quantity[1:2] in ("W", "b"):
            return self.layout.parameter(quantity, assembled(quantity, truth.totals, reading))
        if quantity in STARTS:
            start = truth.initial[quantity[0]]
            return self.layout.one_step(start[:, :1] if quantity[0] in self.shared else start)
        if quantity in ("da0", "dc0"):
            return self.layout.one_step(truth.totals[quantity])
        if output.step is not None:
            return self._of_step(quantity, output.step, value, truth)
        if value.ndim < len(self.layout.axes.split()):
            return self._of_last_step(output, truth)
        return self._over_time(quantity, value, truth)

    def _of_step(self, quantity: str, step: int, value: Array, truth: Truth) -> Array:
        """Return a quantity at one step of a list; that of gradients may begin with the last step."""
        backwards = self.layout.one_step(truth.steps[-1 - step][quantity])
        turned = quantity == "dx" and backwards.shape == value.shape
        if turned and np.allclose(backwards, value):
            return backwards
        return self.layout.one_step(truth.steps[step][quantity])

    def _of_last_step(self, output: Output, truth: Truth) -> Array:
        """Return what there is once of a quantity: at the last step, or at the only one."""
        quantity, value = output.quantity, np.asarray(output.value)
        if quantity in truth.initial and "[" in output.name:  # one step may keep what it was given
            given = self.layout.one_step(truth.initial[quantity])
            if np.array_equal(given, value):
                return given
        total = self.layout.one_step(truth.steps[-1][quantity])
        if self.one_step and quantity in ("da", "dc") and not np.allclose(total, value):
            return self.layout.one_step(truth.totals[f"{quantity}0"])  # what it hands back
        return total

    def _over_time(self, quantity: str, value: Array, truth: Truth) -> Array:
        """Return a quantity at all steps; a state may have the initial one first, or last. What they keep
        may have its axes in another order than what they are given.
        """
        steps = [step[quantity] for step in truth.steps]
        initial = [truth.initial[quantity]] if quantity in truth.initial else []
        stacks = [np.stack(s, axis=2) for s in (steps, [*initial, *steps], [*steps, *initial])]
        orders = itertools.permutations(self.layout.axes.split()) if value.ndim == 3 else ()
        turned = (replace(self.layout, axes=" ".join(order)) for order in orders)
        for layouts in ([self.layout], turned):
            arrays = [layout.over_time(stack) for layout in layouts for stack in stacks]
            fitting = [array for array in arrays if array.shape == value.shape]
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                return max(fitting, key=lambda array: _entries_alike(array, value))
        return self.layout.over_time(stacks[0])

    def run(
        self, namespace: dict[str, Any], problem: Problem, again: str = "",
        locked: Collection[str] = (),
    ) -> Outcome:  # fmt: skip
        """Run their code on a problem and return what came out; what they raise is in the outcome.

        `again` says what is called a second time: the "backward", or "all". To write to an array of
        an argument in `locked` fails; KEPT stands for those that come from the forward.
        """
        return Run(self, namespace, problem, locked).all(again)


def _entries_alike(array: Array, value: Array) -> int:
    with np.errstate(all="ignore"):
        return int(np.count_nonzero(np.abs(array - value) <= 1e-8 + 1e-5 * np.abs(value)))


def _of_that_size(output: Output, truth: Truth) -> bool:
    """Return whether a forward quantity has the units of what its name says: if not, it is another."""
    quantity, sizes = output.quantity, truth.problem.sizes
    if quantity == "loss" or quantity[:1] == "d" or is_parameter(quantity):
        return True
    units = sizes["n_y"] if quantity in ("y_hat", "z_y") else sizes["n_a"]
    if np.ndim(output.value) > 3:
        return False  # several gates in one array
    return units in np.shape(output.value)


def _clipped(array: Array, output: Output) -> Array:
    """Return the right gradient, clipped where theirs is: at one bound, and only where it is beyond."""
    value = np.asarray(output.value)
    if output.quantity[:1] != "d" or array.shape != value.shape or not array.size:
        return array
    bound = np.max(np.abs(value))
    bound = float(f"{bound:.3g}") if abs(bound - float(f"{bound:.3g}")) < 1e-12 * bound else bound
    beyond = np.abs(array) > bound * (1 + 1e-6)
    round_bound = float(bound) == float(f"{bound:.3g}")
    clips = bound > _SMALLEST_CLIP and round_bound and beyond.any()
    return np.clip(array, -bound, bound) if clips else array


def problem_for(plan: Plan, kind: str, small: bool = False) -> Problem:
    """Return the fresh problem of a kind that a plan can be run on; `small` is as in `draw`."""
    return draw(
        kind, plan.cell, labels=plan.labels, one_column=plan.one_column, one_step=plan.one_step,
        tied=plan.tied, fixed=plan.fixed, small=small,
    )  # fmt: skip
