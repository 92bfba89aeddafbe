"""The engines, one file each, found by looking into this folder, and what they take and leave behind.

An engine has two functions, both described in reference.py: `forward` runs a stage (a cell in one
layer and direction, or what stands above it) over sequences, `backward` goes back over what was kept.
"""

import functools
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from unrolled.errors import UnrolledError

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


@dataclass
class Kept:
    """What a run leaves behind: for each name an array with the steps along its last axis, and the
    state after the last step of each sequence and the loss (0 without targets).
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    loss: Any = 0.0


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
