"""Shaken numbers: how far rounding can move a result, measured by running the equations on them.

A shaken array computes as an array does, with the last bits of everything that goes into an operation
and comes out of it changed at random (stochastic arithmetic: Vignes 1978, Mathematics and Computers
in Simulation 20:227-249). What differs between two such runs is rounding.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.equations.step import Step
from unrolled.functions import PRIMITIVES, with_operators
from unrolled.parts import Function, Part

Array = Any
EPSILON = float(np.finfo(np.float64).eps)
_OPERAND, _RESULT = 1, 2  # in EPSILON: an odd and an even number never cancel to no change at all


@with_operators
class Shaken:
    """An array, real or complex, that shakes whatever is done with it."""

    __array_ufunc__ = None  # so that `array + shaken` is asked of this class

    def __init__(self, value: Array, random: np.random.Generator):
        self.value, self.random = value, random

    def record(self, name: str, _: str, operands: tuple[Any, ...]) -> "Shaken":
        """Run a function of `unrolled.functions`."""
        return self.run(PRIMITIVES[name], *operands)

    def run(self, function: Callable[..., Array], *operands: Any) -> "Shaken":
        """Run a function on shaken operands, and shake what it returns."""
        result = function(*(self._shake(operand, _OPERAND) for operand in operands))
        return Shaken(self._shake(result, _RESULT), self.random)

    def __matmul__(self, other: Any) -> "Shaken":
        return self.run(operator.matmul, self, other)

    def __rmatmul__(self, other: Any) -> "Shaken":
        return self.run(operator.matmul, other, self)

    @property
    def T(self) -> "Shaken":  # noqa: N802
        return Shaken(self.value.T, self.random)

    def _shake(self, operand: Any, by: int) -> Any:
        value = operand.value if isinstance(operand, Shaken) else operand
        if not isinstance(value, np.ndarray) or value.dtype == bool:
            return value
        if np.iscomplexobj(value):  # each part for itself, for the imaginary one holds the slope
            return self._changed(value.real, by) + 1j * self._changed(value.imag, by)
        return self._changed(value, by)

    def _changed(self, value: Array, by: int) -> Array:
        up_or_down = self.random.integers(0, 2, value.shape) * 2.0 - 1.0
        return value * (1 + by * EPSILON * up_or_down)


def shaken_step(step: Step, random: np.random.Generator) -> Step:
    """Return the step with its parts run on shaken numbers."""

    def shaken(function: Function) -> Function:
        @functools.wraps(function)
        def run(**known: Any) -> dict[str, Any]:
            wrapped = {
                name: Shaken(value, random) if isinstance(value, np.ndarray) else value
                for name, value in known.items()
            }
            return {
                name: result.value if isinstance(result, Shaken) else result
                for name, result in function(**wrapped).items()
            }

        return run

    def part(original: Part) -> Part:
        return dataclasses.replace(
            original, forward=shaken(original.forward), backward=shaken(original.backward)
        )

    return Step(
        part(step.cell), part(step.prediction),
        dataclasses.replace(step.loss, part=part(step.loss.part)), step.activation,
        part(step.layer),
    )  # fmt: skip
