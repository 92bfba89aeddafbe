"""Optimisers, each a class with `update(parameters, gradients)`, which changes the arrays in place;
clipping; and what becomes of the learning rate on the way.

What an optimiser remembers is in `steps`, and in `kept`, arrays by name with a number for each entry of
each parameter, in their order: a checkpoint holds both.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.errors import UnrolledError, number_below_one, positive_number

Array = Any
SCHEDULES = ("constant", "linear", "cosine")


class SGD:
    """Stochastic gradient descent, θ ← θ − learning_rate · v (Robbins and Monro 1951), where v is the
    gradient, or with momentum v ← momentum · v + dθ (Polyak 1964, as Sutskever et al. 2013 write it).
    """

    def __init__(self, learning_rate: float = 0.1, momentum: float = 0.0):
        self.learning_rate = positive_number("learning_rate", learning_rate)
        self.momentum = number_below_one("momentum", momentum)
        self.steps = 0
        self.kept: dict[str, Array] = {}

    def update(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], factor: float = 1.0
    ) -> None:
        """Take one step down the gradients, of `factor` times the learning rate."""
        self.steps += 1
        velocity = _flat(gradients, parameters)
        if self.momentum:
            kept = self.kept.setdefault("velocity", np.zeros_like(velocity))
            kept *= self.momentum
            kept += velocity
            velocity[:] = kept
        velocity *= self.learning_rate * factor
        _subtract(parameters, velocity)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this optimiser again."""
        return {"name": "sgd", "learning_rate": self.learning_rate, "momentum": self.momentum}


class Adam:
    """Adam, with bias correction: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1."""

    def __init__(
        self, learning_rate: float = 0.001, beta1: float = 0.9, beta2: float = 0.999,
        epsilon: float = 1e-8,
    ):  # fmt: skip
        self.learning_rate = positive_number("learning_rate", learning_rate)
        self.beta1, self.beta2 = (
            number_below_one("beta1", beta1),
            number_below_one("beta2", beta2),
        )
        self.epsilon = positive_number("epsilon", epsilon)
        self.steps = 0
        self.kept: dict[str, Array] = {}

    def update(
        self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], factor: float = 1.0
    ) -> None:
        """Take one step, scaled by running means of the gradients and of their squares."""
        self.steps += 1
        rate = self.learning_rate * factor / (1 - self.beta1**self.steps)
        correction = math.sqrt(1 - self.beta2**self.steps)
        gradient = _flat(gradients, parameters)
        mean = self.kept.setdefault("mean", np.zeros_like(gradient))
        square = self.kept.setdefault("square", np.zeros_like(gradient))
        step = gradient - mean
        step *= 1 - self.beta1
        mean += step  # mean + (1 − β₁)(dθ − mean)
        np.multiply(gradient, gradient, out=step)
        step -= square
        step *= 1 - self.beta2
        square += step  # square + (1 − β₂)(dθ² − square)
        np.sqrt(square, out=step)
        step /= correction
        step += self.epsilon
        np.divide(mean, step, out=step)
        step *= rate
        _subtract(parameters, step)  # θ − rate · mean / (√square / correction + ε)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this optimiser again."""
        return {
            "name": "adam", "learning_rate": self.learning_rate, "beta1": self.beta1,
            "beta2": self.beta2, "epsilon": self.epsilon,
        }  # fmt: skip


def _flat(gradients: Mapping[str, Array], parameters: Mapping[str, Array]) -> Array:
    """Return all gradients one behind the other: a dozen operations on one array cost less than on many."""
    return np.concatenate([gradients[name].ravel(order="F") for name in parameters])


def _subtract(parameters: Mapping[str, Array], step: Array) -> None:
    """Subtract from each parameter, in place, its part of the step."""
    end = 0
    for parameter in parameters.values():
        begin, end = end, end + parameter.size
        parameter -= step[begin:end].reshape(parameter.shape, order="F")


def make_optimiser(name: str, **settings: Any) -> SGD | Adam:
    """Return the optimiser that `settings` are of."""
    return SGD(**settings) if name == "sgd" else Adam(**settings)


def clip_by_norm(gradients: Mapping[str, Array], limit: float) -> float:
    """Scale all gradients together, in place, so that their common norm is at most `limit`.

    Returns the norm before (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, algorithm 1).
    """
    norm = norm_of(gradients)
    if norm > limit:
        for gradient in gradients.values():
            gradient *= limit / norm
    return norm


def norm_of(arrays: Mapping[str, Array]) -> float:
    """Return the common norm of all arrays; not finite where one of their numbers is not."""
    flat = [array.ravel(order="K") for array in arrays.values()]
    with np.errstate(over="ignore", invalid="ignore"):
        square = sum(float(array.dot(array)) for array in flat)
    if math.isfinite(square):
        return math.sqrt(square)
    largest = max(float(np.abs(array).max(initial=0)) for array in flat)
    if not all(np.isfinite(array).all() for array in flat):
        return math.inf
    square = sum(float(np.square(array / largest, dtype=np.float64).sum()) for array in flat)
    return largest * math.sqrt(square)  # squares of large numbers overflow before the numbers do


def clip_by_value(gradients: Mapping[str, Array], limit: float) -> bool:
    """Move every entry into [−limit, limit], in place; return whether one was outside."""
    clipped = False
    for gradient in gradients.values():
        clipped = clipped or bool(gradient.max() > limit or gradient.min() < -limit)
        np.clip(gradient, -limit, limit, out=gradient)
    return clipped


def rate_factor(schedule: str, step: int, steps: int | None, warmup: int = 0) -> float:
    """Return what the learning rate is multiplied with at a step, counted from 1, out of `steps`.

    It rises over the first `warmup` steps; then it stays ("constant"), or falls to 0 in a straight line
    ("linear") or as half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).
    """
    if step <= warmup:
        return step / (warmup + 1)
    if schedule == "constant":
        return 1.0
    if steps is None:
        raise UnrolledError(f"the schedule {schedule!r} has to know the end: say steps or epochs")
    left = max(0, steps - step + 1) / max(1, steps - warmup)  # 1 at the first, above 0 at the last
    return left if schedule == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)
