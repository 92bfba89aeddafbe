"""What a cell may call, beside `@ .T + - * / **2`.

Each function runs on whatever it is given: on arrays of NumPy (real or complex), PyTorch, JAX or
autograd it computes; on a symbol of `unrolled.equations` it writes itself down. So a cell is
computed, differentiated and printed from one text. All arrays are columns of a batch: (n, m).

`xp` is the library of the operand at hand. Comparisons look at `xp.real(z)`, for in a complex-step
derivative the imaginary part is the slope, and the real part says on which side of 0 z lies.
"""

import functools
import importlib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
PRIMITIVES: dict[str, Callable[..., Array]] = {}
LEAKY_SLOPE = 0.01


@functools.cache
def _library(kind: Any) -> Any:
    if (own := getattr(kind, "functions", None)) is not None:
        return own  # of what is no array, and says itself what becomes of it
    package = kind.__module__.partition(".")[0]
    name = {"autograd": "autograd.numpy", "torch": "torch", "jax": "jax.numpy",
            "jaxlib": "jax.numpy"}.get(package, "numpy")  # fmt: skip
    return importlib.import_module(name)


def namespace(*operands: Array) -> Any:
    """Return the module whose functions take these operands: NumPy unless one is of another library."""
    for operand in operands:
        if (library := _library(type(operand))) is not np:  # type: ignore[arg-type]
            return library
    return np


def primitive(shape: str) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Register a function of arrays so that a symbol may call it too.

    `shape` says what becomes of the operands' shapes, and nothing of what is computed: "same shape"
    (they are broadcast), "over m" (the batch axis is summed away) or "over n" (the feature axis is).
    """

    def register(function: Callable[..., Array]) -> Callable[..., Array]:
        @functools.wraps(function)
        def call(*operands: Array) -> Array:
            for operand in operands:
                if hasattr(operand, "record"):
                    return operand.record(function.__name__, shape, operands)
            return function(*operands)

        PRIMITIVES[function.__name__] = call
        return call

    return register


def with_operators(kind: type) -> type:
    """Class decorator: `a + b`, `2 * a`, `-a`, … become `a.run(operator, *operands)`."""
    for name in ("add", "sub", "mul", "truediv", "pow", "neg"):
        function = getattr(operator, name)
        setattr(kind, f"__{name}__", lambda a, *b, f=function: a.run(f, a, *b))
        setattr(kind, f"__r{name}__", lambda a, b, f=function: a.run(f, b, a))
    return kind


@primitive("same shape")
def tanh(z: Array) -> Array:
    """Return tanh(z), entry by entry, in (−1, 1)."""
    return namespace(z).tanh(z)


@primitive("same shape")
def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + e^−z), entry by entry, in (0, 1), accurate and without overflow for every z."""
    xp = namespace(z)
    negative = xp.real(z) < 0
    e = xp.exp(xp.where(negative, z, -z))  # e^−|z|
    return xp.where(negative, e, 1.0) / (1.0 + e)


@primitive("same shape")
def relu(z: Array) -> Array:
    """Return max(z, 0), entry by entry; NaN stays NaN."""
    xp = namespace(z)
    return xp.where(xp.real(z) <= 0, 0.0, z)


@primitive("same shape")
def leaky_relu(z: Array) -> Array:
    """Return z where z > 0 and 0.01 z elsewhere (Maas, Hannun and Ng 2013)."""
    xp = namespace(z)
    return xp.where(xp.real(z) <= 0, LEAKY_SLOPE * z, z)


@primitive("same shape")
def softplus(z: Array) -> Array:
    """Return log(1 + e^z), entry by entry, without overflow."""
    xp = namespace(z)
    negative = xp.real(z) < 0  # the same side in both terms, so that the slope at 0 is ½
    return xp.where(negative, 0.0, z) + xp.log1p(xp.exp(xp.where(negative, z, -z)))


@primitive("same shape")
def positive(z: Array) -> Array:
    """Return whether each entry's (real part) is above 0, for `where`."""
    return namespace(z).real(z) > 0


@primitive("same shape")
def where(condition: Array, value: Array, other: Array) -> Array:
    """Return `value` where `condition` holds and `other` elsewhere."""
    return namespace(condition, value, other).where(condition, value, other)


@primitive("over n")
def log_sum_exp(z: Array) -> Array:
    """Return log Σ_k e^z_k over the features of each column, (1, m), without overflow."""
    xp = namespace(z)
    shift = xp.amax(xp.real(z), axis=0, keepdims=True)
    return shift + xp.log(over_features(xp.exp(z - shift)))


@primitive("same shape")
def softmax(z: Array) -> Array:
    """Return e^z_k / Σ_j e^z_j for each column; columns are positive and sum to 1."""
    xp = namespace(z)
    e = xp.exp(z - xp.amax(xp.real(z), axis=0, keepdims=True))
    return e / over_features(e)


@primitive("over m")
def over_batch(z: Array) -> Array:
    """Return the sum over the batch, (n, 1): what reaches something all columns share, as a bias."""
    return namespace(z).sum(z, axis=1, keepdims=True)


@primitive("over n")
def over_features(z: Array) -> Array:
    """Return the sum over the features of each column, (1, m)."""
    return namespace(z).sum(z, axis=0, keepdims=True)
