"""JAX on the CPU: jax.jit of value_and_grad of a lax.scan, as one writes it for speed there.

Gates are stacked and the input products of all steps are one, outside the scan. Rows are sequences,
(T, m, n). The equations are those of our cells, so nothing changes its sign on the way.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.benchmark.cases import Answer, Problem
from unrolled.benchmark.contenders import Contender

Array = Any
title, package = "JAX", "jax"

_GATES = {"rnn": "a", "gru_reset_after": "urc", "lstm": "fioc"}


def prepare(threads: int) -> str:
    """Import JAX on the CPU, and return its version.

    It reads the number of threads from the environment, once, when it starts; what a user has set
    there stays.
    """
    os.environ.setdefault("NPROC", str(threads))
    jax = importlib.import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)  # or float64 would silently be float32
    return str(jax.__version__)


def contender(problem: Problem) -> Contender | None:
    """Return the problem in JAX, compiled for its shapes at the first call."""
    case = problem.case
    if case.cell not in _GATES:
        return None
    jax = importlib.import_module("jax")
    x, labels = jax.numpy.asarray(problem.X.T), jax.numpy.asarray(problem.Y.T)
    weights = {n: jax.numpy.asarray(v) for n, v in _stacked(problem.parameters, case.cell).items()}
    compiled = jax.jit(jax.value_and_grad(_loss(jax, case.cell)))
    return Contender(
        title, lambda: jax.block_until_ready(compiled(weights, x, labels)),
        lambda answer: _answer(answer, case.cell),
    )  # fmt: skip


def _stacked(given: dict[str, Array], cell: str) -> dict[str, Array]:
    """Stack the gates as columns: W_x (n_x, gates·n_a), W_a (n_a, gates·n_a), b (gates·n_a,)."""

    def stack(name: str) -> Array:
        return np.hstack([given[name.format(gate)].T for gate in _GATES[cell]])

    weights = {"W_x": stack("W_{}x"), "W_a": stack("W_{}a"), "b": stack("b_{}")[0]}
    if "b_ca" in given:
        weights["b_ca"] = given["b_ca"][:, 0]
    return weights | {"W_ya": given["W_ya"].T, "b_y": given["b_y"][:, 0]}


def _answer(answer: Any, cell: str) -> Answer:
    loss, found = answer
    found = {name: np.asarray(value) for name, value in found.items()}
    gates = _GATES[cell]
    gradients = {"W_ya": found["W_ya"].T, "b_y": found["b_y"][:, None]}
    for name, stacked in (("W_{}x", "W_x"), ("W_{}a", "W_a"), ("b_{}", "b")):
        for gate, part in zip(gates, np.split(found[stacked], len(gates), -1), strict=True):
            gradients[name.format(gate)] = part.T if part.ndim == 2 else part[:, None]
    if "b_ca" in found:
        gradients["b_ca"] = found["b_ca"][:, None]
    return float(loss), gradients


def _loss(jax: Any, cell: str) -> Callable[[dict[str, Array], Array, Array], Array]:
    jnp, step = jax.numpy, _STEPS[cell](jax)

    def loss(weights: dict[str, Array], x: Array, labels: Array) -> Array:
        z_x = x @ weights["W_x"] + weights["b"]
        zeros = jnp.zeros((x.shape[1], len(weights["W_a"])), x.dtype)
        state = (zeros, zeros) if cell == "lstm" else zeros
        _, a = jax.lax.scan(lambda s, z: step(weights, s, z), state, z_x)
        log_y_hat = jax.nn.log_softmax(a @ weights["W_ya"] + weights["b_y"])
        return -jnp.take_along_axis(log_y_hat, labels[..., None], -1).mean()

    return loss


def _rnn(jax: Any) -> Callable[..., Any]:
    def step(weights: dict[str, Array], a: Array, z_x: Array) -> tuple[Array, Array]:
        a = jax.numpy.tanh(z_x + a @ weights["W_a"])
        return a, a

    return step


def _gru(jax: Any) -> Callable[..., Any]:
    def step(weights: dict[str, Array], a: Array, z_x: Array) -> tuple[Array, Array]:
        z_a, n_a = a @ weights["W_a"], a.shape[-1]
        u, r = jax.numpy.split(jax.nn.sigmoid((z_x + z_a)[:, : 2 * n_a]), 2, -1)
        z_ca = z_a[:, 2 * n_a :] + weights["b_ca"]
        c_tilde = jax.numpy.tanh(z_x[:, 2 * n_a :] + r * z_ca)
        a = u * c_tilde + (1 - u) * a
        return a, a

    return step


def _lstm(jax: Any) -> Callable[..., Any]:
    def step(weights: dict[str, Array], state: Any, z_x: Array) -> tuple[Any, Array]:
        a, c = state
        z = z_x + a @ weights["W_a"]
        n_a = a.shape[-1]
        f, i, o = jax.numpy.split(jax.nn.sigmoid(z[:, : 3 * n_a]), 3, -1)
        c = f * c + i * jax.numpy.tanh(z[:, 3 * n_a :])
        a = o * jax.numpy.tanh(c)
        return (a, c), a

    return step


_STEPS = {"rnn": _rnn, "gru_reset_after": _gru, "lstm": _lstm}
