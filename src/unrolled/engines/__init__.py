"""The engines, one file each, found by looking into this folder, and what they take and leave behind.

An engine has two functions, both described in reference.py: `forward` runs a stage (a cell in one
layer and direction, or what stands above it) over sequences, `backward` goes back over what was kept. One that
remembers its runs may have a class `Chain` as well, which runs all stages again: compiled/chain.py.
"""

import functools
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from unrolled.equations.step import Stage
from unrolled.errors import UnrolledError
from unrolled.notation import Shape

Array = Any
_COMPILER = ("numba", "platformdirs")  # what the compiled engine needs


@dataclass(frozen=True)
class Sequences:
    """What a stage runs over: m sequences of T steps.

    `given` holds quantities of all steps, (n, m, T) each, or integers as OneHot; `state` where the
    states start, (n_a, m). Sequences of different lengths are sorted, longest first, so that those
    that are not over at step t are the first `running[t]`; None: all, always. What arrays hold for a
    sequence that is over is finite, and is never looked at. `reverse` goes from the last step back.
    """

    given: Mapping[str, Array]
    state: Mapping[str, Array]
    m: int
    T: int
    running: tuple[int, ...] | None = None
    reverse: bool = False

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield every step with how many sequences run at it, in the order of computation."""
        order = reversed(range(self.T)) if self.reverse else range(self.T)
        running = (self.m,) * self.T if self.running is None else self.running
        return ((t, running[t]) for t in order if running[t])

    @property
    def lengths(self) -> Array:
        """How many steps each sequence has, (m,)."""
        if self.running is None:
            return np.full(self.m, self.T)
        return (np.array(self.running)[:, None] > np.arange(self.m)).sum(axis=0)

    def sizes(
        self, symbols: Mapping[str, Shape], parameters: Mapping[str, Array]
    ) -> dict[str, int]:
        """The sizes of all axes in some shapes, by name, from arrays that have them; "1" is 1."""
        previous = {f"{s}_prev": value for s, value in self.state.items()}
        arrays, sizes = {**parameters, **self.given, **previous}, {"1": 1, "m": self.m}
        for name, shape in symbols.items():
            if name in arrays:
                rows, columns = arrays[name].shape[:2]
                sizes[str(shape[0])], sizes[str(shape[1])] = rows, columns
        return sizes


@dataclass
class Kept:
    """What a run leaves behind: for each name an array with the steps along its last axis, and the
    state after the last step of each sequence and the loss (0 without targets).
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    loss: Any = 0.0


def way_back(
    stage: Stage, sequences: Sequences, kept: Kept, upstream: Mapping[str, Array]
) -> tuple[frozenset[str], dict[str, Array], dict[str, Array]]:
    """Return what a fast engine goes back with: the gradients to which `upstream` adds something at each
    step, all that is given at each step, and where the gradients of the states start.
    """
    added = frozenset([n for n in upstream if n not in stage.taken and not n.endswith("_T")])
    given = {**sequences.given, **kept.arrays, **{n: upstream[n] for n in stage.taken}}
    given |= {f"up.{name}": upstream[name] for name in added}
    return added, given, {f"d{s}_prev": upstream.get(f"d{s}_T") for s in stage.states}


def gradients(totals: Mapping[str, Array], ends: Mapping[str, Array]) -> dict[str, Array]:
    """Return totals and ends of the way back by what they are gradients of: W for dW, a0 for da_prev."""
    starts = {name[1:].removesuffix("_prev") + "0": end for name, end in ends.items()}
    return {name[1:]: total for name, total in totals.items()} | starts


def engine_names() -> list[str]:
    """Return the names of all engines in this folder, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def chosen_engine(name: str) -> str:
    """Return the name of an engine; "auto" is the fastest that there is. Nothing is imported.

    Raises UnrolledError where there is no such engine, or where it lacks a package.
    """
    there = all(importlib.util.find_spec(package) is not None for package in _COMPILER)
    if name == "auto":
        return "compiled" if there else "numpy"
    if not isinstance(name, str) or name not in engine_names():
        raise UnrolledError(
            f"engine {name!r} is not known: expected 'auto', {', '.join(map(repr, engine_names()))}"
        )
    if name == "compiled" and not there:
        raise UnrolledError(
            "engine 'compiled' needs Numba, which is not installed: pip install 'unrolled[compiled]'"
        )
    return name


@functools.cache
def load_engine(name: str) -> ModuleType:
    """Return the engine of a name, as `chosen_engine` understands it, ready to run."""
    return importlib.import_module(f"{__name__}.{chosen_engine(name)}")
