"""How a person lays out arrays: the order of the axes, weights one way or the other, gates stacked."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.checking.names import GATES

Array = Any
WITH_BIAS = "W_1"
"""The pseudo-name of all gates' [a; x; 1] weights: the last column is the bias."""

INNER = "b_hh"
"""The pseudo-name of the GRU's stacked biases of which the candidate's is inside the reset."""
HIDDEN_SHARE = 0.25
"""How much of a bias is in that of the recurrent weights, where two are added."""


@dataclass(frozen=True)
class Layout:
    """Arrays over time have the axes `axes`: n, m and T in their order, m left out for one column
    without a batch axis. `transposed`: input weights are (n_x, n_a). `bias` is the axes of a bias:
    "n 1", "n" or "1 n".
    """

    axes: str
    transposed: bool
    bias: str

    @property
    def columns(self) -> bool:
        """Whether the units of one step stand under each other: (n, m)."""
        return self.step.startswith("n")

    @property
    def step(self) -> str:
        """The axes of one step."""
        return " ".join(axis for axis in self.axes.split() if axis != "T")

    def over_time(self, array: Array) -> Array:
        """Return (n, m, T) in their axes."""
        return _arranged(array, "n m T", self.axes)

    def one_step(self, array: Array) -> Array:
        """Return (n, m) in their axes."""
        return _arranged(array, "n m", self.step)

    def labels(self, array: Array) -> Array:
        """Return one-hot columns (n, m, T) as integers in their axes, −1 where a column is empty."""
        return self.per_target(np.where(array.any(axis=0), array.argmax(axis=0), -1))

    def per_target(self, array: Array) -> Array:
        """Return one number a target, (m, T), in their axes."""
        return _arranged(array, "m T", " ".join(a for a in self.axes.split() if a != "n"))

    def parameter(self, quantity: str, array: Array) -> Array:
        """Return a weight matrix (n_a, n_x) or a bias (n_a, 1), or its gradient, in their axes."""
        if quantity.removeprefix("d")[:1] == "b":
            return _arranged(array, "n 1", self.bias)
        return array.T.copy() if self.transposed else array

    def own(self, quantity: str, array: Array) -> Array:
        """Return any quantity in their axes: of one step, over time or a parameter."""
        if quantity == "loss":
            return array
        if _of_parameters(quantity):
            return self.parameter(quantity, array)
        return self.over_time(array) if array.ndim == 3 else self.one_step(array)

    def legend(self, quantity: str, array: Array) -> Array:
        """Return an array of theirs in the legend's axes; one step without a batch axis gets m = 1."""
        array = np.asarray(array)
        if _of_parameters(quantity):
            if quantity.removeprefix("d")[:1] == "b":
                return array.reshape(-1, 1)
            return array.T if self.transposed else array
        over_time = array.ndim == len(self.axes.split())
        return _back(array, self.axes if over_time else self.step, "n m T" if over_time else "n m")


def _of_parameters(quantity: str) -> bool:
    return quantity.removeprefix("d")[:2] in ("W_", "b_") or quantity in ("W", "b", "dW", "db")


def _arranged(array: Array, now: str, then: str) -> Array:
    """Return a copy with its axes in another order; one that is left out has size 1."""
    axes, wanted = now.split(), then.split()
    for gone in [axis for axis in axes if axis not in wanted]:
        array = np.take(array, 0, axis=axes.index(gone))
        axes.remove(gone)
    for new in [axis for axis in wanted if axis not in axes]:
        array, axes = array[..., None], [*axes, new]
    return np.array(np.transpose(array, [axes.index(axis) for axis in wanted]), order="C")


def _back(array: Array, now: str, then: str) -> Array:
    if array.ndim != len(now.split()):
        return array
    return _arranged(array, now, then)


@dataclass(frozen=True)
class Reading:
    """What names do not say: the order of stacked gates, whether x stands before a in [a; x], and
    whether the 1 that a bias is multiplied with stands before both.
    """

    gates: str
    x_first: bool = False
    one_first: bool = False


def readings(quantities: Iterable[str], cell: str, likely: Reading) -> tuple[Reading, ...]:
    """Return the readings that parameters kept under these (pseudo-) names leave open, `likely` first."""
    kept = {"W" if name == WITH_BIAS else name for name in quantities}
    held = [found for name in kept if (found := _held(name, GATES[cell]))]
    joined = {g for letters, _ in held if len(letters) > 1 for g in letters}
    first = "".join(g for g in likely.gates if g in joined)
    combined = any(side == "" for _, side in held)
    orders = ["".join(p) for p in itertools.permutations(g for g in GATES[cell] if g in joined)]
    sides = (False, True) if combined else (likely.x_first,)
    if not joined:
        orders, first = [likely.gates], likely.gates
    all_of_them = [Reading(gates, side, likely.one_first) for gates in orders for side in sides]
    return tuple(sorted(all_of_them, key=lambda r: (r.gates != first, r.x_first != likely.x_first)))


def group(letters: Iterable[str], cell: str, kind: str) -> str:
    """Return the pseudo-name of what some gates have in one array: their biases (`kind` "b"), their
    weights from one side ("a" or "x"), or from both (""). That of one gate has its own name.
    """
    gates = "".join(g for g in GATES[cell] if g in set(letters))
    if gates == GATES[cell] and len(gates) > 1:
        return {"b": "b", "a": "W_h", "x": "W_x", "": "W"}[kind]
    return f"b_{gates}" if kind == "b" else f"W_{gates}{kind}"


def _held(name: str, gates: str) -> tuple[str, str] | None:
    """Return which gates an array holds, and their biases ("b") or weights from which side ("a", "x" or
    "" for both); None where the name is no pseudo-name.
    """
    whole = {"b": "b", INNER: "b", "W": "", "W_h": "a", "W_x": "x"}
    if name in whole:
        return gates, whole[name]
    head, _, letters = name.partition("_")
    side = letters[-1:] if head == "W" and letters[1:] and letters[-1:] in "ax" else ""
    letters = letters.removesuffix(side)
    if head not in ("W", "b") or not letters or not set(letters) <= set(gates):
        return None
    alone = len(letters) == 1 and (side or head == "b")
    return None if alone else (letters, "b" if head == "b" else side)


def _ordered(letters: str, reading: Reading) -> list[str]:
    return sorted(letters, key=reading.gates.find)


def assembled(quantity: str, values: Mapping[str, Array], reading: Reading) -> Array:
    """Return a parameter (or gradient, or state) by its (pseudo-) name from the legend's `values`:
    "dW_x" are the gates' below each other, and so are any that are listed, "[dz_f dz_i]".
    """
    if quantity in values:
        return values[quantity]
    if quantity[:1] == "[":
        return np.concatenate([values[part] for part in quantity[1:-1].split()])
    d, name = ("d", quantity[1:]) if quantity[:1] == "d" else ("", quantity)
    if name == WITH_BIAS:
        both = [assembled(f"{d}{part}", values, reading) for part in ("W", "b")]
        return np.concatenate(both[::-1] if reading.one_first else both, axis=1)
    gates = next(g for g in GATES.values() if set(reading.gates) <= set(g))
    if (held := _held(name, gates)) is None:
        raise KeyError(quantity)
    blocks = [_block(name, g, held[1], reading) for g in _ordered(held[0], reading)]
    return np.concatenate(
        [np.concatenate([values[f"{d}{part}"] for part in block], axis=1) for block in blocks]
    )


def _block(name: str, gate: str, kind: str, reading: Reading) -> list[str]:
    """Return the legend's names of what one gate has in a joined array, beside each other."""
    if kind == "b":
        return ["b_ca" if name == INNER and gate == "c" else f"b_{gate}"]
    return [f"W_{gate}{side}" for side in kind or ("xa" if reading.x_first else "ax")]


def parts(quantity: str, cell: str) -> list[str]:
    """Return the legend's parameters (or gradients) that a pseudo-name holds, or the name itself."""
    if quantity[:1] == "[":
        return quantity[1:-1].split()
    if quantity[:2] in ("dW", "db"):
        return [f"d{part}" for part in parts(quantity[1:], cell)]
    if quantity == WITH_BIAS:
        return parts("W", cell) + parts("b", cell)
    held, usual = _held(quantity, GATES[cell]), Reading(GATES[cell])
    if held is None:
        return [quantity]
    return [p for g in _ordered(held[0], usual) for p in _block(quantity, g, held[1], usual)]


def taken_apart(
    quantity: str, array: Array, cell: str, n_a: int, reading: Reading
) -> dict[str, Array]:
    """Return the legend's parameters (or gradients) that an assembled array holds in a reading."""
    if quantity[:1] == "[":
        names = quantity[1:-1].split()
        x = len(array) - n_a * (len(names) - 1)  # rows of x, where one of them is x
        ends = np.cumsum([x if name == "x" else n_a for name in names])
        return dict(zip(names, np.split(array, ends[:-1]), strict=True))
    if quantity[:1] == "d":
        inner = taken_apart(quantity[1:], array, cell, n_a, reading)
        return {f"d{name}": part for name, part in inner.items()}
    if quantity == WITH_BIAS:
        split = 1 if reading.one_first else array.shape[1] - 1
        bias, weights = np.split(array, [split], axis=1)[:: 1 if reading.one_first else -1]
        apart = [
            taken_apart(name, part, cell, n_a, reading)
            for name, part in (("W", weights), ("b", bias))
        ]
        return apart[0] | apart[1]
    held = _held(quantity, GATES[cell])
    if held is None:
        return {quantity: array}
    found: dict[str, Array] = {}
    before = array.shape[1] - n_a if reading.x_first else n_a
    for k, gate in enumerate(_ordered(held[0], reading)):
        names, rows = _block(quantity, gate, held[1], reading), array[k * n_a : (k + 1) * n_a]
        found |= zip(names, np.split(rows, [before][: len(names) - 1], axis=1), strict=True)
    return found
