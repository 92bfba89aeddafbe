"""Who is timed, and whether it computes the same: nobody is timed on different work."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.benchmark.cases import Answer, Problem
from unrolled.engines import chosen_engine

TOLERANCE = {"float64": 1e-9, "float32": 2e-3}  # relative to the largest entry of a tensor


@dataclass(frozen=True)
class Contender:
    """One who computes the loss and all parameter gradients of a problem.

    `run` does the work and is what is timed; `read` brings what `run` returned into our names and
    shapes, and is not.
    """

    name: str
    run: Callable[[], Any]
    read: Callable[[Any], Answer]


def engine_title(engine: str) -> str:
    """Return what an engine is called in a report: "auto" is the one it stands for."""
    return f"unrolled {chosen_engine(engine)}"


def ours(problem: Problem, engine: str) -> Contender:
    """Return this library on one of its engines, called as a user calls it."""
    net = problem.network(engine)
    return Contender(
        engine_title(engine), lambda: net.loss_and_gradients(problem.X, problem.Y), lambda a: a
    )


@dataclass(frozen=True)
class Difference:
    """The largest difference of an answer from the right one, and the tensor it is in."""

    value: float
    tensor: str

    def agrees(self, dtype: str) -> bool:
        """Whether it is rounding: NaN is not."""
        return self.value <= TOLERANCE[dtype]


def largest_difference(answer: Answer, right: Answer) -> Difference:
    """Compare a loss and gradients with the right ones, each relative to its largest entry.

    A gradient that is missing, or has another shape, differs without bounds.
    """
    tensors, expected = ({"loss": np.asarray(a[0]), **a[1]} for a in (answer, right))
    names = expected.keys() | tensors.keys()
    found = {name: _relative(tensors.get(name), expected.get(name)) for name in sorted(names)}
    worst = max(found, key=lambda name: math.inf if math.isnan(found[name]) else found[name])
    return Difference(found[worst], worst)


def _relative(came: Any, expected: Any) -> float:
    if came is None or expected is None or came.shape != expected.shape:
        return math.inf
    error, scale = float(np.max(np.abs(came - expected))), float(np.max(np.abs(expected)))
    return error / scale if scale else math.inf if error else 0.0
