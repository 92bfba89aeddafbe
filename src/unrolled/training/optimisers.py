"""Optimisers, each a class with `update(parameters, gradients)`, which changes the arrays in place."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.errors import number_below_one, positive_number

Array = Any


class SGD:
    """Stochastic gradient descent: θ ← θ − learning_rate · dθ (Robbins and Monro 1951)."""

    def __init__(self, learning_rate: float = 0.1):
        self.learning_rate = positive_number("learning_rate", learning_rate)

    def update(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Take one step down the gradients."""
        for name, parameter in parameters.items():
            parameter -= self.learning_rate * gradients[name]


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
        self.mean: dict[str, Array] = {}
        self.square: dict[str, Array] = {}

    def update(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Take one step, scaled by running means of the gradients and of their squares."""
        self.steps += 1
        rate = self.learning_rate / (1 - self.beta1**self.steps)
        correction = math.sqrt(1 - self.beta2**self.steps)
        for name, parameter in parameters.items():
            gradient = gradients[name]
            mean = self.mean.setdefault(name, np.zeros_like(parameter))
            square = self.square.setdefault(name, np.zeros_like(parameter))
            mean += (1 - self.beta1) * (gradient - mean)
            square += (1 - self.beta2) * (gradient**2 - square)
            parameter -= rate * mean / (np.sqrt(square) / correction + self.epsilon)


def clip_by_norm(gradients: Mapping[str, Array], limit: float) -> float:
    """Scale all gradients together, in place, so that their common norm is at most `limit`.

    Returns the norm before (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, algorithm 1).
    """
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
    if norm > limit:
        for gradient in gradients.values():
            gradient *= limit / norm
    return norm
