"""The small fresh problems that a person's code is run on, and what is right on each of them."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.equations.table import Table
from unrolled.network import Network
from unrolled.tape import Tape

Array = Any


@dataclasses.dataclass(frozen=True)
class Problem:
    """Numbers to run a recurrent network on, in the legend's names and layout.

    `sizes` has n_x, n_a, n_y, m and T. X is (n_x, m, T), one-hot columns where `labels`; Y is (n_y, m, T),
    one-hot columns, zero where there is no target (of one output: 0 or 1). `state` has "a" (and "c"), each (n_a, m). `dA` is a
    gradient from above, (n_a, m, T), for code without a loss. `kind` says what the problem is for.
    `last_only`: only the last step has a target. `shared` are states that begin alike in all sequences,
    for the start is learned: its gradient is the sum over the batch.
    """

    kind: str
    cell: str
    sizes: Mapping[str, int]
    X: Array
    Y: Array
    state: Mapping[str, Array]
    parameters: Mapping[str, Array]
    dA: Array  # noqa: N815 - the legend's name
    seed: int = 0
    labels: bool = False
    last_only: bool = False
    shared: frozenset[str] = frozenset()

    @property
    def T(self) -> int:  # noqa: N802 - the legend's name
        return self.sizes["T"]

    @property
    def m(self) -> int:
        return self.sizes["m"]


@dataclasses.dataclass(frozen=True)
class Counting:
    """What each target counts in the loss: `factor` divided by the product of the sizes in `over`."""

    factor: float = 1.0
    over: tuple[str, ...] = ("m",)

    def share(self, sizes: Mapping[str, int]) -> float:
        """Return the share of one target."""
        return self.factor / math.prod(sizes[name] for name in self.over)


@dataclasses.dataclass(frozen=True)
class Conventions:
    """The choices that are no mistake when everything agrees on them.

    `output` and `loss` are the network's; `counting` is None where the gradient comes from above;
    `states` are the initial states that the code takes: the
    others are zero. `activation` is the plain cell's; `cell` is the variant of the cell, a name or a
    path, if it is not the cell itself.
    """

    cell: str = ""
    activation: str | None = None
    output: str = "softmax"
    loss: str | None = None
    counting: Counting | None = None
    states: frozenset[str] = frozenset({"a", "c"})


_SIZES = {
    "plain": {"n_x": 3, "n_a": 5, "n_y": 4, "m": 9, "T": 6},
    "other sizes": {"n_x": 4, "n_a": 6, "n_y": 3, "m": 2, "T": 5},
    "one sequence": {"n_x": 3, "n_a": 5, "n_y": 4, "m": 1, "T": 6},
    "one step": {"n_x": 3, "n_a": 5, "n_y": 4, "m": 9, "T": 1},
}
KINDS = (
    "plain", "other sizes", "saturated", "one sequence", "one step", "logits near 1000",
    "logits far apart", "padded",
)  # fmt: skip
_WITH_ALL_PARAMETERS = {"gru": "gru_reset_after"}  # variants of a cell may have more than it
FORWARD_ONLY = ("logits near 1000", "logits far apart")


def draw(
    kind: str, cell: str, seed: int = 0, labels: bool = False, one_column: bool = False,
    one_step: bool = False, tied: bool = False, fixed: Mapping[str, int] | None = None,
    small: bool = False,
) -> Problem:  # fmt: skip
    """Return a fresh problem of one of KINDS.

    All sizes differ and are above 1, but for what the kind asks for, for `one_column` (m = 1), for
    `one_step` (T = 1) and for `tied` (n_y = n_x: symbols in and out). `fixed` are sizes that their code
    has as numbers; `small` is a problem whose numbers people are to look at. Weights are moderate, states and biases are not zero.
    """
    random = np.random.default_rng([seed, KINDS.index(kind)])
    sizes = dict(_SIZES.get(kind, _SIZES["plain"]))
    sizes["m"] = (
        min(sizes["m"], 2) if small else sizes["m"]
    )  # T stays, as a report counts its steps
    sizes = _with(sizes, fixed or {})
    sizes |= {"m": 1} if one_column else {}
    sizes |= {"T": 1} if one_step else {}
    sizes |= {"n_x": sizes["n_y"]} if tied else {}
    shape = (sizes["m"], sizes["T"])
    widest = _WITH_ALL_PARAMETERS.get(cell, cell)
    net = Network(widest, n_x=sizes["n_x"], n_a=sizes["n_a"], n_y=sizes["n_y"])
    spread = 3.0 if kind == "saturated" else 0.6
    if fixed:  # many inputs would saturate the units
        spread *= min(1.0, (6 / max(sizes["n_a"], sizes["n_x"])) ** 0.5)
    parameters = {n: spread * random.standard_normal(p.shape) for n, p in net.parameters.items()}
    if kind == "logits near 1000":
        parameters["b_y"] = parameters["b_y"] + 1000
    if kind == "logits far apart":
        parameters["b_y"][0] -= 1000
    state = {
        s: random.standard_normal((sizes["n_a"], sizes["m"])) for s in net.architecture.step.states
    }
    X = random.standard_normal((sizes["n_x"], *shape))
    if labels:
        X = _one_hot(random.integers(0, sizes["n_x"], shape), sizes["n_x"])
    labels_out = random.integers(0, max(sizes["n_y"], 2), shape)
    Y = _one_hot(labels_out, sizes["n_y"]) if sizes["n_y"] > 1 else labels_out[None] * 1.0
    if kind == "padded" and shape[1] > 1:
        Y[:, ::2, -2:] = 0
        Y[:, 1:2, -1:] = 0
    dA = random.standard_normal((sizes["n_a"], *shape))
    return Problem(kind, cell, sizes, X, Y, state, parameters, dA, seed, labels)


def _with(sizes: dict[str, int], fixed: Mapping[str, int]) -> dict[str, int]:
    """Return sizes with some of them as they are fixed, and the others still distinct from these."""
    found = dict(fixed)
    for name, size in sizes.items():
        while name not in fixed and size > 1 and size in found.values():
            size += 1
        found.setdefault(name, size)
    return {name: found[name] for name in sizes}


def _one_hot(labels: Array, size: int) -> Array:
    return np.ascontiguousarray(np.eye(size)[labels].transpose(2, 0, 1))


def shortened(problem: Problem, T: int) -> Problem:
    """Return the first T steps of a problem."""
    return dataclasses.replace(
        problem, sizes={**problem.sizes, "T": T}, X=problem.X[:, :, :T], Y=problem.Y[:, :, :T],
        dA=problem.dA[:, :, :T],
    )  # fmt: skip


def _network(problem: Problem, conventions: Conventions) -> Network:
    """The network of a problem; what its equations are is looked at once."""
    sizes = tuple((name, problem.sizes[name]) for name in ("n_x", "n_a", "n_y"))
    chosen = conventions.activation, conventions.output, conventions.loss
    net = deepcopy(_empty_network(conventions.cell or problem.cell, sizes, *chosen))
    for name, value in net.parameters.items():  # what a variant has beside is zero
        value[...] = problem.parameters.get(name, 0.0)
    return net


@functools.cache
def _empty_network(
    cell: str, sizes: tuple[tuple[str, int], ...], activation: str | None, output: str,
    loss: str | None,
) -> Network:  # fmt: skip
    n_x, n_a, n_y = (size for _, size in sizes)
    return Network(
        cell, n_x=n_x, n_a=n_a, n_y=n_y, activation=activation, output=output, loss=loss,
        engine="reference",
    )  # fmt: skip


class Truth:
    """What is right on a problem: the value of every quantity at every step, by the legend's names."""

    def __init__(self, problem: Problem, conventions: Conventions):
        self.problem, self.conventions = problem, conventions
        given = conventions.states
        net = _network(problem, conventions)
        state = {s: v if s in given else np.zeros_like(v) for s, v in problem.state.items()}
        self.net = net
        self.tape = self._run(self.batch_of(problem.X, state))

    def batch_of(self, X: Array, state: Mapping[str, Array]) -> Batch:
        """Return inputs and states as a batch, with the problem's targets and what each counts."""
        problem, counting = self.problem, self.conventions.counting
        targets = problem.Y[:, :, -1] if problem.last_only else problem.Y
        given = None if counting is None else targets
        batch = self.net.batch(np.real(X), given, reduction="sum")
        share = None if counting is None else batch.share * counting.share(problem.sizes)
        return dataclasses.replace(batch, X=X, state=dict(state), share=share)

    def _run(self, batch: Batch) -> Tape:
        run = self.net.run(batch, None)
        upstream = {"da": self.problem.dA} if self.conventions.counting is None else {}
        found, gradients = run.backward(upstream, None, inputs=True)
        return Tape(run, found, gradients)

    @property
    def table(self) -> Table:
        """The equations of the unrolled step."""
        return self.net.table

    @cached_property
    def steps(self) -> list[dict[str, Array]]:
        """Everything of each step by name: states before it as "a_prev", shares of gradients as "dW_aa"."""
        steps = [dict(self.tape[t]) for t in range(self.problem.T)]
        for t, values in enumerate(steps):
            for s in self.table.step.states:
                values[f"{s}_prev"] = steps[t - 1][s] if t else self.initial[s]
        return steps

    @cached_property
    def initial(self) -> dict[str, Array]:
        """The states before the first step."""
        return {s: self.tape.batch.state[s] for s in self.table.step.states}

    @cached_property
    def starts(self) -> dict[str, Array]:
        """What the loops over time begin with: initial states, and 0 for the gradient that comes back from
        the step after the last.
        """
        back = {f"d{s}_next": np.zeros_like(value) for s, value in self.initial.items()}
        return {f"{s}0": value for s, value in self.initial.items()} | back

    @cached_property
    def totals(self) -> dict[str, Array]:
        """The loss, the gradient of every parameter, of the initial states and of x (n_x, m, T); of a
        learned one (n_a, 1).
        """
        gradients = {
            n if n[:1] == "d" else f"d{n}": v for n, v in (self.tape.gradients or {}).items()
        }
        for state in self.problem.shared:
            gradients[f"d{state}0"] = gradients[f"d{state}0"].sum(axis=1, keepdims=True)
        return gradients if self.tape.loss is None else {**gradients, "loss": self.tape.loss}

    def value(self, name: str, t: int | None) -> Array:
        """Return a quantity at step t, or (t None) its total over all steps; KeyError if there is none."""
        return self.totals[name] if t is None else self.steps[t][name]
