"""Where parameters start.

Square recurrent weights are orthogonal (Saxe, McClelland and Ganguli 2014, arXiv:1312.6120), so
that a signal keeps its length over steps; other weights are uniform with the variance of Glorot
and Bengio 2010 (AISTATS, eq. 16); biases are 0. A cell file may name constants of its own.
"""

from typing import Any

import numpy as np

from unrolled.parameters import Parameters
from unrolled.unrolling import Architecture

Array = Any


def initial_parameters(net: Architecture, seed: int, dtype: Any) -> Parameters:
    """Return every parameter by its full name, in Fortran order.

    They are drawn in float64 in the order of the files, so that a float32 network starts at the
    rounded values of the float64 one with the same seed.
    """
    random = np.random.default_rng(seed)
    parameters, own = Parameters(), net.step.parameters
    for full_name, (name, axes) in net.parameters.items():
        shape = tuple(int(net.axes.get(str(axis), axis)) for axis in axes)
        if name in net.step.cell.initial or axes[-1] == 1:
            value = np.full(shape, net.step.cell.initial.get(name, 0.0))
        elif own.get(name) == ("n_a", "n_a"):
            value = _orthogonal(random, shape)
        else:
            value = _glorot_uniform(random, shape)
        parameters[full_name] = np.asfortranarray(value, dtype=dtype)
    return parameters


def _orthogonal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    q, r = np.linalg.qr(random.standard_normal(shape))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)  # without the sign, QR is not uniform


def _glorot_uniform(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    limit = np.sqrt(6 / sum(shape))
    return random.uniform(-limit, limit, shape)
