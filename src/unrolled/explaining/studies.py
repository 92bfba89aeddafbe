"""What can be learned from one calculation beyond its steps: what reaches what, and what a mistake does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unrolled.equations.entries import entry_equation
from unrolled.equations.table import Key
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.softmax import THREE_WAYS

Array = Any


def gradients(explanation: Explanation) -> list[str]:
    """Return the names of the gradients that are formed over all steps: dW_aa, …, da0."""
    totals = explanation.table.of("total")
    return [equation.name for equation in totals if equation.name != "loss"]


@dataclass(frozen=True)
class Switched:
    """What becomes of every gradient when a contribution is left out: `relative` is how far each is off,
    in parts of its largest entry; None where it is 0 both ways, infinite where only the right one is, NaN
    where numbers are none.
    """

    name: str
    relative: dict[str, float | None]


def contributions(explanation: Explanation) -> list[str]:
    """Return what is added up on the way back, and is easily forgotten: da_y, da_next, dc_next."""
    return list(explanation.table.step.recurrence.upstream)


def switched_off(explanation: Explanation, name: str) -> Switched:
    """Return what every gradient becomes without a contribution."""
    as_is, values, found = explanation.computed(), explanation.computed(without={name}), {}
    for gradient in gradients(explanation):  # both summed in the same order
        right, wrong = as_is[gradient, None], values[gradient, None]
        with np.errstate(all="ignore"):
            off, largest = float(np.max(np.abs(wrong - right))), float(np.max(np.abs(right)))
        finite = math.isfinite(off) and math.isfinite(largest)
        relative = off / largest if largest else None if not off else math.inf
        found[gradient] = relative if finite else math.nan
    return Switched(name, found)


Influence = dict[tuple[int, int], Array]


def influence(
    explanation: Explanation, state: str = "a", steps: Sequence[int] | None = None
) -> Influence:
    """Return ∂loss⟨s⟩/∂a⟨t⟩, (n_a, m), by (s, t): how the loss of step s alone depends on the state of
    step t ≤ s. Over all s they add up to da⟨t⟩. `steps` are those whose losses are asked for, or all.
    """
    return influences(explanation, [state], steps)[state]


def influences(
    explanation: Explanation, states: Sequence[str], steps: Sequence[int] | None = None
) -> dict[str, Influence]:
    """Return the same of several states, from one run for the loss of each step."""
    found: dict[str, Influence] = {state: {} for state in states}
    for s in range(explanation.T) if steps is None else steps:
        values = alone(explanation, s)
        for state in states:
            found[state] |= {(s, t): values[f"d{state}", t] for t in range(s + 1)}
    return found


def alone(explanation: Explanation, s: int) -> dict[Key, Array]:
    """Return every number of the calculation where only the loss of step s counts."""
    given = {
        key: np.zeros_like(value) if key[0] == "omega" and key[1] != s else value
        for key, value in explanation.given.items()
    }
    return explanation.computed(given=given)


def adds_up_over_batch(explanation: Explanation, parameter: str) -> bool:
    """Whether a step's share of a parameter's gradient is a sum over the sequences, as dz @ a_prev.T is."""
    table = explanation.table
    equation = next(e for e in table.of("backward") if e.name == f"d{parameter}")
    entry = entry_equation(table, equation)
    return entry.operation == "sum" and entry.axis == "m"


def products(explanation: Explanation, parameter: str, i: int, j: int) -> Array:
    """Return what each sequence at each step adds to an entry of a parameter's gradient, (m, T).

    Summed over the sequences they are the shares of the steps, summed over both the gradient.
    """
    table, found = explanation.table, np.empty((explanation.m, explanation.T))
    equation = next(e for e in table.of("backward") if e.name == f"d{parameter}")
    for t in range(explanation.T):
        known = {name: explanation.value(name, t) for name in equation.expression.names}
        for k in range(explanation.m):
            of = {n: v[:, k : k + 1] if table.shapes[n][1] == "m" else v for n, v in known.items()}
            found[k, t] = equation.expression.value_of(of)[i, j]
    return found


@dataclass(frozen=True)
class Saturation:
    """A gradient that is lost: `key` is exactly 0 though what is multiplied in it, `of`, is not."""

    key: Key
    of: str
    entries: int
    size: int
    lowest: float
    highest: float


def lost(explanation: Explanation) -> list[Saturation]:
    """Return where gradients vanish exactly on their way back through an activation: where d of a
    pre-activation has entries that are 0 while the gradient that reaches the activation is not.
    """
    found = []
    for moment in explanation.moments:
        name, t = moment.key
        backward = moment.equation.direction == "backward" and name.startswith("dz_")
        if t is None or not backward or name[1:] not in explanation.table.shapes:
            continue  # a cell may leave its z without a name
        *_, of = moment.equation.expression.leaves()
        gone = (explanation.value(name, t) == 0) & (explanation.value(of.name, t) != 0)
        z = np.abs(explanation.value(name[1:], t))
        if gone.any() and gone.shape == z.shape and of.name.startswith("d"):
            low, high = float(z[gone].min()), float(z[gone].max())
            found.append(Saturation(moment.key, of.name, int(gone.sum()), gone.size, low, high))
    return found


def has_softmax(explanation: Explanation) -> bool:
    """Whether the network ends in a softmax with cross-entropy."""
    step = explanation.table.step
    return step.prediction.name == "softmax" and step.loss.from_logits


def three_ways(explanation: Explanation, t: int, sequence: int) -> dict[str, Array]:
    """Return softmax with cross-entropy of one target: logits, probabilities, Jacobian, and the gradient
    in three ways, all (n_y, 1) but for the Jacobian (n_y, n_y).
    """
    column = slice(sequence, sequence + 1)
    given = {name: explanation.value(name, t)[:, column] for name in ("z_y", "y")}
    given["identity"] = np.eye(explanation.sizes["n_y"])
    with np.errstate(all="ignore"):
        return given | THREE_WAYS.forward(given)


def shortened(explanation: Explanation, m: int, T: int) -> Explanation:
    """Return the explanation of the first m sequences and T steps alone, with a note that says so.

    The steps are the first ones, or, where those have no target, the ones up to the first that has.
    """
    if m >= explanation.m and T >= explanation.T:
        return explanation
    m, T = min(m, explanation.m), min(T, explanation.T)
    targets = [t for t in range(explanation.T) if explanation.value("omega", t)[:, :m].any()]
    start = max(targets[0] - T + 1, 0) if targets else 0
    steps = [explanation.tape[t] for t in range(start, start + T)]
    X, Y = (np.stack([step[name][:, :m] for step in steps], axis=-1) for name in ("x", "y"))
    if targets == [explanation.T - 1]:  # values, too, are no targets where they have no share
        Y = Y[:, :, -1]
    states = explanation.table.step.states
    state = {s: explanation.value(f"{s}_prev", start)[:, :m] for s in states}
    tape = explanation.net.tape(X, Y, state, reduction=explanation.reduction)
    which = (
        f"the first {T} of {explanation.T} steps"
        if not start
        else f"steps {start} to {start + T - 1}"
    )
    note = (
        f"The first {m} of {explanation.m} sequences and {which}, as a calculation of their own: its loss "
        "and gradients are not those of all."
    )
    return replace(explanation, tape=tape, notes=(*explanation.notes, note))
