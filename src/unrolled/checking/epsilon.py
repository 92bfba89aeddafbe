"""Losses that keep the logarithm from 0 by a small number of their own: log(ŷ + ε), log(max(ŷ, ε))."""

import ast
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.checking.problems import Truth

Array = Any
_LARGEST = 1e-3  # what is larger changes more than the last digits


def kept_from_zero(tree: ast.AST, truth: Truth) -> Iterator[tuple[str, float]]:
    """Yield what the loss of a softmax is with each small number in a program, and how it is written."""
    if "log_y_hat" not in truth.steps[0] or "loss" not in truth.totals:
        return
    for epsilon in sorted(_small_numbers(tree)):
        kept: dict[str, Callable[[Array], Array]] = {
            f"log(ŷ + {epsilon:g})": functools.partial(np.add, epsilon),
            f"log(max(ŷ, {epsilon:g}))": functools.partial(np.maximum, epsilon),
            f"log(clip(ŷ, {epsilon:g}, 1 − {epsilon:g}))": functools.partial(
                np.clip, a_min=epsilon, a_max=1 - epsilon
            ),
        }
        for text, from_zero in kept.items():
            steps = (s["omega"] * s["y"] * np.log(from_zero(s["y_hat"])) for s in truth.steps)
            yield text, -float(sum(np.sum(step) for step in steps))


def _small_numbers(tree: ast.AST) -> set[float]:
    found = {
        float(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    }
    if any(isinstance(node, ast.Attribute) and node.attr == "eps" for node in ast.walk(tree)):
        found.add(float(np.finfo(float).eps))
    return {number for number in found if 0 < number <= _LARGEST}
