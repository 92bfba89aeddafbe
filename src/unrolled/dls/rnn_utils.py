"""What the course's rnn_utils has, for `from unrolled.dls.rnn_utils import *`: activations and Adam.

Each activation has a backward at Z: `sigmoid_backward(Z)` is the derivative, `sigmoid_backward(Z, dA)`
that times dA. The functions themselves are those of `unrolled.activations`, whose backwards take what
came *out* of the activation. (The helpers of course 1 have the other order, `relu_backward(dA, Z)`.)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.activations import ACTIVATIONS, leaky_relu, relu, sigmoid, softmax, tanh
from unrolled.errors import UnrolledError, whole_number
from unrolled.training.optimisers import Adam

Array = Any
Arrays = dict[str, Array]

__all__ = [
    "sigmoid", "sigmoid_backward", "tanh", "tanh_backward", "relu", "relu_backward", "leaky_relu",
    "leaky_relu_backward", "softmax", "softmax_backward", "initialize_adam",
    "update_parameters_with_adam",
]  # fmt: skip


def sigmoid_backward(Z: Array, dA: Array = None) -> Array:
    """Return sigmoid's derivative at Z, entry by entry in Z's shape, times dA where that is given."""
    return _backward("sigmoid", Z, dA)


def tanh_backward(Z: Array, dA: Array = None) -> Array:
    """Return tanh's derivative at Z, entry by entry in Z's shape, times dA where that is given."""
    return _backward("tanh", Z, dA)


def relu_backward(Z: Array, dA: Array = None) -> Array:
    """Return relu's derivative at Z, 1 where Z > 0 and else 0, times dA where that is given."""
    return _backward("relu", Z, dA)


def leaky_relu_backward(Z: Array, dA: Array = None) -> Array:
    """Return leaky relu's derivative at Z, 1 where Z > 0 and else 0.01, times dA where it is given."""
    return _backward("leaky_relu", Z, dA)


def softmax_backward(Z: Array, dA: Array = None) -> Array:
    """Return dZ (n, m) from dA (n, m), the gradient at A = softmax(Z), column by column.

    dA has to be given: each output of a column depends on every entry of it, so the derivative is a
    matrix for each column, and no array of Z's shape is it. (A (1 − A), which is often used, is that
    matrix's diagonal.) With cross-entropy, dZ is ŷ − y, and no backward of softmax is needed. Raises
    UnrolledError without dA. docs/softmax-cross-entropy.md has it in full.
    """
    if dA is None:
        raise UnrolledError(
            "softmax_backward has no dA: softmax has no derivative entry by entry, so pass "
            "dA, the gradient at its output, or for cross-entropy take dZ = y_hat - y instead"
        )
    return _backward("softmax", Z, dA)


def initialize_adam(parameters: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
    """Return v and s, dictionaries of zeros: "d" + name for each parameter, in its shape.

    The course's needs names W1, b1, W2, …; any are taken here.
    """
    shapes = {f"d{name}": np.shape(value) for name, value in parameters.items()}
    return {n: np.zeros(s) for n, s in shapes.items()}, {n: np.zeros(s) for n, s in shapes.items()}


def update_parameters_with_adam(
    parameters: Arrays, grads: Mapping[str, Array], v: Arrays, s: Arrays, t: int,
    learning_rate: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
) -> tuple[Arrays, Arrays, Arrays]:  # fmt: skip
    """Take one step of Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    Args:
        parameters: dictionary of name -> array.
        grads, v, s: "d" + name -> gradient, mean of the gradients, mean of their squares.
        t: the number of this step, counted from 1.
        learning_rate, beta1, beta2, epsilon: of Adam.

    Returns parameters, v and s. The dictionaries that came are changed, and have new arrays. Raises
    UnrolledError for a missing gradient, one of another shape, or a number that makes no sense.
    """
    done = whole_number("t", t, 1) - 1
    new: list[Arrays] = [{}, {}, {}]
    for name, value in parameters.items():
        adam, theta = Adam(learning_rate, beta1, beta2, epsilon), _own(value)
        adam.steps, d = done, f"d{name}"
        gradient = _like(d, grads, theta)
        adam.kept = {
            "mean": _own(_like(d, v, theta, "v")).ravel("F"),
            "square": _own(_like(d, s, theta, "s")).ravel("F"),
        }
        adam.update({name: theta}, {name: gradient})
        kept = (array.reshape(theta.shape, order="F") for array in adam.kept.values())
        new[0][name], new[1][d], new[2][d] = theta, *kept
    for values, held in zip(new, (parameters, v, s), strict=True):
        held.update(values)
    return parameters, v, s


def _own(value: Array) -> Array:
    """Return a copy in floating point."""
    return np.array(value, dtype=np.result_type(value, np.float32))


def _backward(name: str, Z: Array, dA: Array) -> Array:
    g, Z = ACTIVATIONS[name], np.asarray(Z)
    if dA is not None and np.shape(dA) != Z.shape:
        raise UnrolledError(f"dA has shape {np.shape(dA)}, expected that of Z, {Z.shape}")
    A = g(Z)
    return g.backward(np.ones_like(A) if dA is None else np.asarray(dA), A)


def _like(name: str, values: Mapping[str, Array], parameter: Array, of: str = "grads") -> Array:
    """Return a value that has to be there, in the parameter's shape."""
    if name not in values:
        raise UnrolledError(f"{of} has no {name}: expected one for each of the parameters")
    value = np.asarray(values[name])
    if value.shape != parameter.shape:
        raise UnrolledError(
            f"{name} of {of} has shape {value.shape}, expected that of {name[1:]}, {parameter.shape}"
        )
    return value
