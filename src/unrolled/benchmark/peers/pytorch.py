"""PyTorch, eager, on the CPU: nn.RNN, nn.GRU and nn.LSTM with a linear layer and cross_entropy.

Its layout is its own, (T, m, n), gates stacked in its order. It has two biases a gate, of which the
second is 0 but for the GRU's candidate; and its update gate is the complement of ours,
1 − σ(z) = σ(−z), so that weights and gradients of that gate change their sign on the way.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.benchmark.cases import Answer, Problem
from unrolled.benchmark.contenders import Contender

Array = Any
title, package = "PyTorch", "torch"

_MODULES = {"rnn": ("RNN", "a"), "gru_reset_after": ("GRU", "ruc"), "lstm": ("LSTM", "ifco")}


def prepare(threads: int) -> str:
    """Import PyTorch, set its threads, and return its version."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return str(torch.__version__)


def product(n: int, dtype: str) -> Callable[[], Any]:
    """Return a call that multiplies two n × n matrices."""
    torch = importlib.import_module("torch")
    A = torch.ones((n, n), dtype=getattr(torch, dtype))
    out = torch.empty_like(A)
    return lambda: torch.mm(A, A, out=out)


def contender(problem: Problem) -> Contender | None:
    """Return the problem in PyTorch, with the same parameters and inputs."""
    if problem.case.cell not in _MODULES:
        return None
    torch = importlib.import_module("torch")
    kind, gates = _MODULES[problem.case.cell]
    module, linear = _modules(torch, problem, kind)
    leaves = [*module.parameters(), *linear.parameters()]
    with torch.no_grad():
        for leaf, value in zip(leaves, _weights(problem, gates), strict=True):
            leaf.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    x, labels = torch.from_numpy(problem.X.T), torch.from_numpy(problem.Y.T.reshape(-1))

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        a, _ = module(x)
        logits = linear(a).reshape(len(labels), -1)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        return loss

    return Contender(title, run, lambda loss: _answer(loss, leaves, gates))


def _modules(torch: Any, problem: Problem, kind: str) -> tuple[Any, Any]:
    case, dtype = problem.case, getattr(torch, problem.case.dtype)
    module = getattr(torch.nn, kind)(case.n_x, case.n_a, dtype=dtype)
    return module, torch.nn.Linear(case.n_a, case.n_y, dtype=dtype)


def _weights(problem: Problem, gates: str) -> Iterator[Array]:
    """Yield weight_ih, weight_hh, bias_ih, bias_hh, and weight and bias of the linear layer."""
    given = problem.parameters
    for name in ("W_{}x", "W_{}a", "b_{}"):
        stacked = np.vstack([_sign(gate) * given[name.format(gate)] for gate in gates])
        yield stacked if name.startswith("W") else stacked[:, 0]
    second = np.zeros((len(gates), problem.case.n_a), problem.case.dtype)
    if "b_ca" in given:
        second[gates.index("c")] = given["b_ca"][:, 0]
    yield second.reshape(-1)
    yield given["W_ya"]
    yield given["b_y"][:, 0]


def _answer(loss: Any, leaves: list[Any], gates: str) -> Answer:
    dW_x, dW_a, db, db_second, dW_ya, db_y = (leaf.grad.numpy() for leaf in leaves)
    gradients = {"W_ya": dW_ya, "b_y": db_y[:, None]}
    for name, stacked in (("W_{}x", dW_x), ("W_{}a", dW_a), ("b_{}", db[:, None])):
        for gate, rows in zip(gates, np.split(stacked, len(gates)), strict=True):
            gradients[name.format(gate)] = _sign(gate) * rows
    if "u" in gates:
        gradients["b_ca"] = np.split(db_second, len(gates))[gates.index("c")][:, None]
    return loss.item(), gradients


def _sign(gate: str) -> int:
    return -1 if gate == "u" else 1
