"""The slope of the loss in a direction, by ways that know nothing of a backward pass.

Complex step: L(θ + ih) has the derivative in its imaginary part, with no difference of nearly equal
numbers, so it is exact to rounding for h = 1e−100 (Squire and Trapp 1998, SIAM Review 40:110-112).
Central differences know nothing of complex numbers and are good to six to nine digits.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.engines import reference
from unrolled.equations.step import Step
from unrolled.network import Network
from unrolled.parts import Function, Part

Array = Any
Values = dict[str, Array]

EPSILON = float(np.finfo(np.float64).eps)
_COMPLEX_STEP = 1e-100
_DIFFERENCE = 6e-6  # the cube root of float64's rounding: where truncation and rounding balance
_SMALLER = (1.0, 64.0, 4096.0)  # steps that tell truncation from error, and a kink near from here
_KINKED = {"relu", "leaky_relu", "where", "positive"}


class LossFunction:
    """The loss as a function of named values: parameters, floating input, initial states."""

    def __init__(self, net: Network, batch: Batch):
        self.step, self.parameters, self.batch = net.step, net.parameters, batch
        x = {"x": batch.X} if batch.X.ndim == 3 else {}
        self.values: Values = {**net.parameters, **x}
        self.values |= {f"{s}0": value for s, value in batch.state.items()}
        operations = {o for e in net.table.of("forward") for o in e.expression.operations()}
        self.kinked = bool(operations & _KINKED)

    def at(self, direction: Values, h: complex) -> Any:
        """Return the loss at values + h · direction; h may be imaginary."""
        moved = self.values | {n: self.values[n] + h * d for n, d in direction.items()}
        batch = dataclasses.replace(
            self.batch,
            X=moved.get("x", self.batch.X),
            state={s: moved[f"{s}0"] for s in self.step.states},
        )
        parameters = {name: moved[name] for name in self.parameters}
        return reference.forward(self.step, parameters, batch, frozenset())[2]

    def complex_step(self, direction: Values) -> float:
        """Return the slope in a direction, exact to rounding."""
        return float(self.at(direction, 1j * _COMPLEX_STEP).imag) / _COMPLEX_STEP

    def shaken_gradients(self, random: np.random.Generator) -> Values:
        """Return the hand-derived gradients of a run in which the last bit of every quantity that
        goes into an equation, or comes out of it, is changed: how far rounding can move them.
        """
        step = _shaken(self.step, random)
        kept, _, _ = reference.forward(step, self.parameters, self.batch, None)
        found, totals = reference.backward(
            step, self.parameters, self.batch, kept, {}, frozenset({"dx"})
        )
        return totals | {"x": found.arrays["dx"]}


class CentralDifference:
    """The slope in a direction by central differences, and how far to trust it.

    Three steps are tried, and the one taken that differs least from the next smaller one. Slopes to
    the left and to the right that stay apart, however small the step, are a kink here.
    """

    def __init__(self, function: LossFunction, direction: Values, loss: float):
        reach = max(
            np.max(np.abs(d)) / max(1.0, np.max(np.abs(function.values[name])))
            for name, d in direction.items()
        )
        steps = [_DIFFERENCE / float(reach) / smaller for smaller in _SMALLER]
        rounding = [20 * EPSILON * abs(loss) / h for h in steps]
        sides = [self._sides(function, direction, loss, h) for h in steps]
        slopes = [(left + right) / 2 for left, right in sides]
        jumps = [abs(right - left) for left, right in sides]
        self.uncertainty, self.slope = min(
            (abs(slopes[k] - slopes[k + 1]) + rounding[k], slopes[k]) for k in (0, 1)
        )
        stays = jumps[1] > max(rounding[1], jumps[0] / 8) and jumps[2] > jumps[1] / 8
        self.on_kink = function.kinked and stays

    @staticmethod
    def _sides(
        function: LossFunction, direction: Values, loss: float, h: float
    ) -> tuple[float, float]:
        """Return the slopes to the left and to the right."""
        left, right = function.at(direction, -h), function.at(direction, h)
        return float(loss - left) / h, float(right - loss) / h


def _shaken(step: Step, random: np.random.Generator) -> Step:
    def shake(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return value * (1 + EPSILON * random.choice((-1.0, 1.0), value.shape))

    def shaken(function: Function) -> Function:
        @functools.wraps(function)
        def run(**known: Any) -> dict[str, Any]:
            results = function(**{name: shake(value) for name, value in known.items()})
            return {name: shake(value) for name, value in results.items()}

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
