"""Recognising a value by its numbers: which quantity of the legend, at which step, lies in an array.

Problems are drawn at random and their axes differ in size, so equal numbers mean the same quantity,
however it is laid out: transposed, squeezed, all steps in one array, gates stacked.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.checking.problems import Truth

Array = Any
TOLERANCE = 1e-7  # of the largest entry: far above rounding, far below any mistake
_INDEPENDENT = 1e-9  # single numbers have to agree better


@dataclass(frozen=True)
class Node:
    """A quantity at step t. `kind` is "" for itself, "sum" for what was added up from the last step
    down to t (or "up": from the first step up to t); t None is the total, or a parameter.
    """

    name: str
    t: int | None = None
    kind: str = ""


def numbers(value: Any) -> Array | None:
    """Return a value of theirs as an array of numbers, None if it is none."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return None


def same(value: Array, expected: Array, tolerance: float = TOLERANCE) -> bool:
    """Whether two arrays agree, relative to the largest expected entry."""
    return difference(value, expected) <= tolerance


def difference(value: Array, expected: Array) -> float:
    """Return the largest difference relative to the largest expected entry; infinite for another shape
    or where a number is none.
    """
    if value.shape != expected.shape:
        return np.inf
    if value.size == 0:
        return 0.0
    with np.errstate(all="ignore"):
        off, scale = float(np.max(np.abs(value - expected))), float(np.max(np.abs(expected)))
    if np.isnan(off):
        return np.inf
    return off / scale if scale else (np.inf if off else 0.0)


def laid_out(array: Array, shape: tuple[int, ...]) -> Array | None:
    """Return `array` with its axes in the order that gives `shape`, ones aside; None if none does."""
    wanted = tuple(n for n in shape if n != 1)
    squeezed = np.squeeze(array)
    for order in itertools.permutations(range(squeezed.ndim)):
        turned = squeezed.transpose(order)
        if turned.shape == wanted:
            return turned.reshape(shape)
    return None


class Recogniser:
    """Knows all values of a truth. `transposed` says that weights are (n_x, n_a) for the person: of
    square ones only that tells a gradient from its transpose.
    """

    def __init__(self, truth: Truth, transposed: bool = False):
        self.truth, self._transposed = truth, transposed
        self._seen: dict[tuple[tuple[int, ...], bytes], list[Node]] = {}
        self._by_size: dict[int, list[tuple[Node, Array]]] = defaultdict(list)
        for node, array in _known(truth):
            array = np.asarray(array, float)
            if array.size and not _constant(array):
                self._by_size[array.size].append((node, array))
        self._marks = {
            size: np.array([_mark(array) for _, array in known])
            for size, known in self._by_size.items()
        }

    def nodes(self, value: Array) -> list[Node]:
        """Return what lies in a value as a whole: none, one, or several that are equal."""
        value = np.asarray(value, float)
        known = self._by_size.get(value.size)
        if not known:
            return []
        key = value.shape, value.tobytes()
        if key not in self._seen:
            self._seen[key] = self._look_up(value, known)
        return self._seen[key]

    def _look_up(self, value: Array, known: list[tuple[Node, Array]]) -> list[Node]:
        if _constant(value) or not np.all(np.isfinite(value)):
            return []
        mark, marks = _mark(value), self._marks[value.size]
        near = np.all(
            np.abs(marks - mark) <= 1e-6 * np.maximum(np.abs(marks), _floor(marks)), axis=1
        )
        return [known[k][0] for k in np.flatnonzero(near) if self._equal(value, *known[k])]

    def _equal(self, value: Array, node: Node, expected: Array) -> bool:
        tolerance = TOLERANCE if value.size > 1 else _INDEPENDENT
        squeezed = np.squeeze(expected)
        seen = np.squeeze(value)
        if node.name[:2] == "dW" and squeezed.ndim == 2 and len(set(squeezed.shape)) == 1:
            return same(seen, squeezed.T if self._transposed else squeezed, tolerance)
        turned = [
            squeezed.transpose(order) for order in itertools.permutations(range(squeezed.ndim))
        ]
        if node.kind == "all" and seen.ndim == 2:  # (m T, n): all targets below each other
            turned = [array.reshape(seen.shape) for array in turned]
        return any(same(seen, array, tolerance) for array in turned)

    def blocks(self, value: Array) -> list[Node]:
        """Return what lies stacked in a value, along one axis of it or two: gates, [a; x]."""
        value, sizes = np.squeeze(np.asarray(value, float)), self.truth.problem.sizes
        for axis, size in enumerate(value.shape):
            for cuts in _cuts(size, sizes["n_a"], sizes["n_x"]):
                parts = np.split(value, cuts, axis)
                found = [self.nodes(part) or self.blocks(part) for part in parts]
                if all(found):
                    return [node for nodes in found for node in nodes]
        return []


def _known(truth: Truth) -> Iterator[tuple[Node, Array]]:
    """Every value that may turn up, with what it is."""
    steps, table = truth.steps, truth.table
    parameters = table.step.parameters
    for name, value in truth.problem.parameters.items():
        yield Node(name), value
    for name in steps[0]:
        values = [step[name] for step in steps]
        for t, value in enumerate(values):
            yield Node(name, t), value
        if (name.startswith("d") and name[1:] in parameters) or name == "loss":
            down = list(itertools.accumulate(reversed(values)))[::-1]
            up = list(itertools.accumulate(values))
            yield from ((Node(name, t, "sum"), value) for t, value in enumerate(down))
            yield from ((Node(name, t, "up"), value) for t, value in enumerate(up))
        else:
            yield Node(name, None, "all"), np.stack(values, -1)
    for s, value in truth.initial.items():
        yield Node(f"{s}0"), value
        states = [value, *(step[s] for step in steps)]
        yield Node(s, None, "with start"), np.stack(states, -1)
    for name, value in truth.totals.items():
        if name != "dx":
            yield Node(name), value


def _mark(array: Array) -> tuple[float, float, float, float]:
    """Numbers that stay when the axes are turned."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(array.sum()), float(np.sum(array**2)), float(array.max()), float(array.min())


def _floor(marks: Array) -> Array:
    """Sums may cancel: they are compared relative to the largest number that they are made of."""
    largest = np.maximum(np.abs(marks[:, 2]), np.abs(marks[:, 3]))
    return np.stack([largest, largest**2, largest, largest], axis=1)


def _constant(array: Array) -> bool:
    """Zeros and ones mean nothing: they are not recognised."""
    return bool(array.size > 1 and array.max() == array.min()) or not np.any(array)


def _cuts(size: int, n_a: int, n_x: int) -> Iterable[list[int]]:
    """Where an axis may be cut: into n_a's, with n_x before or behind them."""
    if size % n_a == 0 and size > n_a:
        yield list(range(n_a, size, n_a))
    rest = size - n_x
    if rest > 0 and rest % n_a == 0:
        yield list(range(n_a, rest + 1, n_a))
        yield list(range(n_x, size, n_a))
