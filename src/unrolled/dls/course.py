"""Between the course's names and the core: what is called what, what fits together, and the runs.

The course keeps one W_f = [W_fa W_fx] for each gate, and hands everything that a backward needs from
function to function as a cache. What is computed here is computed by the cell files and the output
layer, run by the reference engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.engines import Kept, Sequences, reference
from unrolled.equations.step import Stage, Step, build_step
from unrolled.errors import UnrolledError
from unrolled.functions import tanh

Array = Any


@dataclass(frozen=True)
class Course:
    """A network of the course: its step, and the course's names with the legend's behind them.

    `parameters` are those of the dictionary, where W_f stands for [W_fa W_fx]; `cache` is what stands
    in a cache tuple, in its order, before the dictionary itself.
    """

    step: Step
    parameters: Mapping[str, str]
    cache: Mapping[str, str]


RNN = Course(
    build_step("rnn"),
    {"Wax": "W_ax", "Waa": "W_aa", "ba": "b_a", "Wya": "W_ya", "by": "b_y"},
    {"a_next": "a", "a_prev": "a_prev", "xt": "x"},
)
LSTM = Course(
    build_step("lstm"),
    {"Wf": "W_f", "bf": "b_f", "Wi": "W_i", "bi": "b_i", "Wc": "W_c", "bc": "b_c",
     "Wo": "W_o", "bo": "b_o", "Wy": "W_ya", "by": "b_y"},
    {"a_next": "a", "c_next": "c", "a_prev": "a_prev", "c_prev": "c_prev",
     "ft": "f", "it": "i", "cct": "c_tilde", "ot": "o", "xt": "x"},
)  # fmt: skip


class Fit:
    """The sizes known so far, each with the array that it came from; what comes next has to fit."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {"1": 1}
        self.sources: dict[str, str] = {}

    def known(self, axis: str, size: int, source: str) -> None:
        """Note the size of an axis that no array gives."""
        self.sizes[axis], self.sources[axis] = size, source

    def array(self, name: str, value: Any, axes: str) -> Array:
        """Return `value` as an array of numbers with the axes in `axes`: "n_x m T", "n_a n_a+n_x".

        An axis that is not known yet is taken from it. Raises UnrolledError where it does not fit.
        """
        array = _numbers(name, value)
        names = axes.split()
        if array.ndim == len(names):
            for axis, size in zip(names, array.shape, strict=True):
                if self.size(axis) is None:
                    self.known(axis, size, name)
        expected = [self.size(axis) for axis in names]
        if list(array.shape) != expected:
            raise UnrolledError(f"{name} has shape {array.shape}, {self._expected(names)}")
        if 0 in array.shape:
            axis = names[array.shape.index(0)]
            raise UnrolledError(f"{name} has shape {array.shape}: {axis} is 0, expected at least 1")
        return array

    def size(self, axis: str) -> int | None:
        """Return the size of an axis, of one such as "n_a+n_x" too, or None where it is not known."""
        sizes = [self.sizes.get(part) for part in axis.split("+")]
        return None if None in sizes else sum(size for size in sizes if size)

    def _expected(self, names: list[str]) -> str:
        """Return `expected (n_a, n_x) = (5, 4): n_a as in a_prev, n_x as in xt`."""
        sizes = [name if self.size(name) is None else self.size(name) for name in names]
        known = dict.fromkeys(part for name in names for part in name.split("+"))
        sources = [f"{axis} as in {self.sources[axis]}" for axis in known if axis in self.sources]
        shape = f"({', '.join(names)})".replace("+", " + ")
        equal = f" = ({', '.join(map(str, sizes))})" if sources else ""
        return f"expected {shape}{equal}" + (f": {', '.join(sources)}" if sources else "")


def forward(
    course: Course, fit: Fit, x: Array, state: dict[str, Array], parameters: Any
) -> dict[str, Array]:
    """Run x (n_x, m, T) from a state, and return all that was computed, by the legend's names."""
    cell, head = course.step.recurrence, course.step.head_without_targets
    own = weights(course, fit, parameters, {*cell.parameters, *head.parameters})
    m, T = x.shape[1:]
    kept = reference.forward(cell, own, Sequences({"x": x}, state, m, T), None)
    above = Sequences({"a": kept.arrays["a"]}, {}, m, T)
    return {"x": x} | kept.arrays | reference.forward(head, own, above, None).arrays


def caches(course: Course, arrays: Mapping[str, Array], parameters: Any) -> list[tuple[Any, ...]]:
    """Return one cache tuple for each step."""
    held = [arrays[name] for name in course.cache.values()]
    return [(*(array[:, :, t] for array in held), parameters) for t in range(held[0].shape[2])]


def read_caches(course: Course, fit: Fit, found: Any) -> tuple[dict[str, Array], Any]:
    """Return what a list of cache tuples holds, by the legend's names with the steps along the last
    axis, and their dictionary of parameters. Whoever made the tuples, nothing else is needed.
    """
    where = "" if len(found) == 1 else " of step {}"
    columns = [_read_cache(course, fit, cache, where.format(t)) for t, cache in enumerate(found)]
    arrays = {
        name: np.stack([column[name] for column in columns], axis=-1)
        for name in course.cache.values()
    }
    if "c" in arrays:
        arrays["tanh_c"] = tanh(arrays["c"])  # the cell keeps it, the course's cache does not
    return arrays, found[0][-1]


def _read_cache(course: Course, fit: Fit, cache: Any, where: str) -> dict[str, Array]:
    expected = f"({', '.join(course.cache)}, parameters)"
    if not isinstance(cache, tuple | list):
        raise UnrolledError(f"cache{where} is {_kind(cache)}: expected the tuple {expected}")
    if len(cache) != len(course.cache) + 1:
        raise UnrolledError(
            f"cache{where} has {len(cache)} entries: expected the {len(course.cache) + 1} of {expected}"
        )
    return {
        legend: fit.array(f"{name}{where}", value, "n_x m" if legend == "x" else "n_a m")
        for (name, legend), value in zip(course.cache.items(), cache[:-1], strict=True)
    }


def backward(
    course: Course, fit: Fit, arrays: dict[str, Array], parameters: Any,
    upstream: dict[str, Array],
) -> dict[str, Array]:  # fmt: skip
    """Go back over what the caches held; `upstream` has da_y (n_a, m, T), and dc_T (n_a, m) if any.

    Returns dx (n_x, m, T), the gradients of the states before the first step as a0 (and c0), and
    those of the parameters by the course's names. Biases are not asked for: no gradient needs them.
    """
    cell = course.step.recurrence
    own = weights_back(course, fit, cell, parameters)
    state = {
        s: arrays[f"{s}_prev"][:, :, 0] for s in cell.states
    }  # the way back asks for its shape
    m, T = upstream["da_y"].shape[1:]
    sequences, wanted = Sequences({"x": arrays["x"]}, state, m, T), frozenset({"dx"})
    kept, totals = reference.backward(cell, own, sequences, Kept(arrays), upstream, wanted)
    return kept.arrays | named(course, totals) | {f"{s}0": totals[f"{s}0"] for s in cell.states}


def weights(course: Course, fit: Fit, parameters: Any, wanted: set[str]) -> dict[str, Array]:
    """Return the parameters in `wanted` by the legend's names, each gate's matrix in two."""
    if not isinstance(parameters, Mapping):
        raise UnrolledError(
            f"parameters is {_kind(parameters)}: expected a dictionary of {', '.join(course.parameters)}"
        )
    shapes = course.step.parameters
    found: dict[str, Array] = {}
    for name, legend in course.parameters.items():
        parts = [legend] if legend in shapes else [f"{legend}a", f"{legend}x"]
        if not wanted.intersection(parts):
            continue
        if name not in parameters:
            raise UnrolledError(
                f"parameters has no {name}: expected {', '.join(course.parameters)}, "
                f"and {', '.join(map(str, parameters))} came"
            )
        axes = " ".join(map(str, shapes.get(legend, ("n_a", "n_a+n_x"))))
        value = fit.array(name, parameters[name], axes)
        columns = [len(value)] if len(parts) == 2 else []
        found |= zip(parts, np.split(value, columns, axis=1), strict=True)
    return found


def weights_back(course: Course, fit: Fit, stage: Stage, parameters: Any) -> dict[str, Array]:
    """Return what a stage's backward needs, and zeros for its other parameters, the biases: the engine
    asks for them to know the shapes of their gradients.
    """
    own = weights(course, fit, parameters, set(stage.needed))
    dtype = np.result_type(*own.values())
    for name, axes in stage.parameters.items():
        if name not in own:
            own[name] = np.zeros([fit.size(str(axis)) or 0 for axis in axes], dtype)
    return own


def named(course: Course, totals: Mapping[str, Array]) -> dict[str, Array]:
    """Return the gradients there are by the course's names, a gate's two as one matrix."""
    found = {}
    for name, legend in course.parameters.items():
        if legend in totals:
            found[f"d{name}"] = totals[legend]
        elif f"{legend}a" in totals:
            found[f"d{name}"] = np.hstack([totals[f"{legend}a"], totals[f"{legend}x"]])
    return found


def _numbers(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    if array.dtype.kind not in "fc":
        raise UnrolledError(f"{name} is {_kind(value)}: expected an array of numbers")
    return array


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
