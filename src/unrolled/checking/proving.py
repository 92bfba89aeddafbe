"""The reference proves itself: on every problem its gradients are compared with complex step, in random
directions through everything at once (Squire and Trapp 1998, SIAM Review 40:110-112).
"""

from typing import Any

import numpy as np

from unrolled.checking.problems import Truth
from unrolled.engines import reference
from unrolled.unrolling import Unrolled

Array = Any
DIRECTIONS = 2
LARGEST_ERROR = 1e-9  # relative; rounding leaves some 1e-14
_STEP = 1e-100


def slope_error(truth: Truth, seed: int = 0) -> float:
    """Return by how much the slopes of a truth's gradients differ from complex step, relative to them."""
    random = np.random.default_rng(seed)
    values = _values(truth)
    return max(_error(truth, values, random) for _ in range(DIRECTIONS))


def _values(truth: Truth) -> dict[str, Array]:
    """What the loss depends on: parameters, inputs, initial states."""
    states = {f"{s}0": value for s, value in truth.initial.items()}
    return {**truth.net.parameters, "x": truth.problem.X, **states}


def _error(truth: Truth, values: dict[str, Array], random: np.random.Generator) -> float:
    shapes = {name: np.shape(truth.totals[f"d{name}"]) for name in values}
    direction = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    moved = {name: value + 1j * _STEP * direction[name] for name, value in values.items()}
    slope = float(_objective(truth, moved).imag) / _STEP
    parts = [float(np.sum(truth.totals[f"d{n}"] * d)) for n, d in direction.items()]
    size = sum(abs(part) for part in parts)
    return abs(slope - sum(parts)) / size if size else 0.0


def _objective(truth: Truth, values: dict[str, Array]) -> Any:
    """The loss, or what a gradient from above is that of: Σ_t ⟨dA⟨t⟩, a⟨t⟩⟩."""
    batch = truth.batch_of(values["x"], {s: values[f"{s}0"] for s in truth.initial})
    parameters = {name: values[name] for name in truth.net.parameters}
    run = Unrolled(truth.net.architecture, reference, parameters, batch, frozenset({"a"}))
    if truth.conventions.counting is not None:
        return run.loss
    return np.sum(truth.problem.dA * run.outputs)
