"""The slope of the loss in a direction, by ways that know nothing of a backward pass.

Complex step: L(θ + ih) has the derivative in its imaginary part, with no difference of nearly equal
numbers, so it is exact to rounding for h = 1e−100 (Squire and Trapp 1998, SIAM Review 40:110-112).
Central differences know nothing of complex numbers and are good to six to nine digits.
"""

import dataclasses
import math
from copy import copy
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.engines import reference
from unrolled.gradients.shaken import shaken_step
from unrolled.network import Network
from unrolled.one_hot import OneHot
from unrolled.unrolling import Unrolled

Array = Any
Values = dict[str, Array]

_COMPLEX_STEP, _OTHER_COMPLEX_STEP = 1e-100, 1e-50  # what differs between them has underflowed
_DIFFERENCE = 6e-6  # the cube root of float64's rounding: where truncation and rounding balance
_CHANGE = 1e-2  # of the loss, at most, from a step
_NOISE = 20.0  # times the rounding in the loss: what the difference of two losses may be off by
_SMALLER = (1.0, 64.0, 4096.0)  # steps that tell truncation from error, and a kink near from here
_KINKED = {"relu", "leaky_relu", "where", "positive"}


class LossFunction:
    """The loss as a function of named values: parameters, floating input, initial states."""

    def __init__(self, net: Network, batch: Batch):
        self.architecture, self.parameters, self.batch = net.architecture, net.parameters, batch
        x = {} if isinstance(batch.X, OneHot) else {"x": batch.as_given(batch.X)}
        self.values: Values = {**net.parameters, **x}
        self.values |= {f"{s}0": batch.as_given(value) for s, value in batch.state.items()}
        operations = {o for e in net.table.of("forward") for o in e.expression.operations()}
        self.kinked = bool(operations & _KINKED)
        self.tiny = _COMPLEX_STEP

    def at(self, direction: Values, h: complex) -> Any:
        """Return the loss at values + h · direction; h may be imaginary."""
        moved = self.values | {n: self.values[n] + h * d for n, d in direction.items()}
        batch = self.batch
        order = slice(None) if batch.order is None else batch.order
        batch = dataclasses.replace(
            batch,
            X=moved["x"][:, order] if "x" in moved else batch.X,
            state={s: moved[f"{s}0"][:, order] for s in batch.state},
        )
        parameters = {name: moved[name] for name in self.parameters}
        return Unrolled(self.architecture, reference, parameters, batch, frozenset()).loss

    def complex_step(self, direction: Values) -> float:
        """Return the slope in a direction, exact to rounding."""
        return float(self.at(direction, 1j * self.tiny).imag) / self.tiny

    def shaken(self, random: np.random.Generator) -> "LossFunction":
        """Return the same function with the last bits of every operation changed."""
        other = copy(self)
        step = shaken_step(self.architecture.step, random)
        other.architecture = dataclasses.replace(self.architecture, step=step)
        other.tiny = _OTHER_COMPLEX_STEP
        return other

    def gradients(self) -> tuple[float, Values]:
        """Return the loss and the hand-derived gradients, by the reference engine."""
        needed = self.architecture.step.needed
        run = Unrolled(self.architecture, reference, self.parameters, self.batch, needed)
        gradients = run.backward({}, frozenset(), inputs=True)[1]
        changed = {
            n: self.batch.as_given(gradients[n]) for n in self.values if n not in self.parameters
        }
        return float(run.loss), gradients | changed


@dataclasses.dataclass(frozen=True)
class CentralDifference:
    """The slope in a direction by central differences, how far to trust it, and whether it is none
    because the point sits on a kink.
    """

    slope: float
    uncertainty: float
    on_kink: bool


def central_difference(
    function: LossFunction, direction: Values, loss: float, rounding: float, expected: float
) -> CentralDifference:
    """Return the central difference least in doubt, of three steps.

    A step's doubt is what the next smaller one changes, and the rounding in that. Changes that do
    not fade as steps shrink say that all steps are too wide. Where the function has kinks, one may
    lie between the two sides: then half of what their slopes differ by is in doubt too, and slopes
    that stay apart however small the step are a kink at the point itself.
    """
    widest = _widest_step(function, direction, loss, expected)
    steps = [widest / smaller for smaller in _SMALLER]
    sides = [_sides(function, direction, loss, h) for h in steps]
    slopes = [(left + right) / 2 for left, right in sides]
    jumps = [abs(right - left) for left, right in sides]
    noise = [_NOISE * rounding / h for h in steps]
    doubts = [abs(slopes[k] - slopes[k + 1]) + noise[k + 1] for k in (0, 1)]
    fade = doubts[1] <= doubts[0] / 8 + 2 * noise[2] and jumps[2] <= jumps[1] / 8 + 2 * noise[2]
    if function.kinked:
        doubts = [doubts[k] + jumps[k] / 2 for k in (0, 1)]
    stays = jumps[1] > max(noise[1], jumps[0] / 8) and jumps[2] > jumps[1] / 8
    doubt, slope = min(zip(doubts, slopes[:2], strict=True))
    if not fade or _steps_are_too_wide(
        function, direction, loss, rounding, expected, slope, steps[-1]
    ):
        doubt = math.inf
    return CentralDifference(slope, doubt, on_kink=function.kinked and stays)


def _steps_are_too_wide(
    function: LossFunction, direction: Values, loss: float, rounding: float, expected: float,
    slope: float, h: float,
) -> bool:  # fmt: skip
    """Whether a slope that is not the expected one is flat beside it, or becomes it further in, before
    rounding drowns it: before anybody is blamed, smaller steps are tried.
    """
    if abs(slope) < 0.01 * abs(expected):  # the steps cross all of a steep place
        return True
    while abs(slope - expected) > 0.01 * abs(expected) > _NOISE * rounding / h:
        slope = sum(_sides(function, direction, loss, h)) / 2
        if abs(slope - expected) < 0.1 * abs(expected):
            return True
        h /= 64
    return False


def _widest_step(function: LossFunction, direction: Values, loss: float, expected: float) -> float:
    """Return the widest step: relative to the values, and such that the loss changes little."""
    reach = max(
        np.max(np.abs(d)) / max(1.0, np.max(np.abs(function.values[name])))
        for name, d in direction.items()
    )
    step = _DIFFERENCE / float(reach)
    if abs(expected) * step > _CHANGE * abs(loss) > 0:
        return _CHANGE * abs(loss) / abs(expected)
    return step


def _sides(function: LossFunction, direction: Values, loss: float, h: float) -> tuple[float, float]:
    """Return the slopes to the left and to the right."""
    left, right = function.at(direction, -h), function.at(direction, h)
    return float(loss - left) / h, float(right - loss) / h
