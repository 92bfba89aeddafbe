"""The same problems in PyTorch, float64: its own RNN, LSTM and GRU modules, and its autograd.

For what PyTorch has no module for (the GRU with the reset before the product, plain cells other
than tanh and relu) the step is written in its operations, in its row layout, and differentiated.
"""

import numpy as np
import torch
from problems import Problem

GATES = {"lstm": "ifco", "gru_reset_after": "ruc"}  # the order PyTorch stacks them in


def run(p: Problem) -> dict[str, np.ndarray]:
    """Return loss, y_hat, a, final states and all gradients, in our notation."""
    net, leaves = p.net, _leaves(p)
    cell, g = net.architecture.step.cell.name, net.architecture.step.activation
    if cell in GATES or (cell == "rnn" and g.name in ("tanh", "relu")):
        A, finals = _module(cell, g, net, leaves)
    else:
        A, finals = _by_hand(cell, g, leaves)
    logits = A @ leaves["W_ya"].T + leaves["b_y"].T  # (T, m, n_y)
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), torch.tensor(p.Y.T.reshape(-1)), ignore_index=-1
    )
    loss.backward()
    found = {f"d{name}": leaf.grad.numpy() for name, leaf in leaves.items()}
    found["dx"] = found["dx"].transpose(2, 1, 0)
    found |= {"loss": loss.detach().numpy(), "a": A.detach().numpy().T}
    found["y_hat"] = torch.softmax(logits, -1).detach().numpy().T
    return found | {f"{s}_T": final.detach().numpy().T for s, final in finals.items()}


def _leaves(p: Problem) -> dict[str, torch.Tensor]:
    values = p.values()
    values["x"] = values["x"].transpose(2, 1, 0).copy()  # (T, m, n_x), as PyTorch has it
    return {
        name: torch.tensor(np.ascontiguousarray(v), requires_grad=True)
        for name, v in values.items()
    }


def _module(cell, g, net, leaves):
    n_x, n_a = net.sizes["n_x"], net.sizes["n_a"]
    a0, c0 = leaves["a0"].T[None], leaves.get("c0")
    if cell == "rnn":
        module = torch.nn.RNN(n_x, n_a, nonlinearity=g.name, dtype=torch.float64)
        weights = [leaves[n] for n in ("W_ax", "W_aa")] + [
            leaves["b_a"][:, 0],
            torch.zeros(n_a, dtype=torch.float64),
        ]
    else:
        module = (torch.nn.LSTM if cell == "lstm" else torch.nn.GRU)(n_x, n_a, dtype=torch.float64)
        weights = _stacked(cell, leaves, n_a)
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    state = (a0, c0.T[None]) if cell == "lstm" else a0
    arguments = (leaves["x"], state)
    A, final = torch.func.functional_call(module, dict(zip(names, weights, strict=True)), arguments)
    finals = {"a": final[0][0], "c": final[1][0]} if cell == "lstm" else {"a": final[0]}
    return A, finals


def _stacked(cell, leaves, n_a):
    """Stack the gates in PyTorch's order; its update gate is the complement of ours: 1 − σ(z) = σ(−z)."""

    def stack(name, columns):
        return torch.cat([(-1.0 if gate == "u" else 1.0) * columns(leaves[name.format(gate)])
                          for gate in GATES[cell]])  # fmt: skip

    b_a = torch.zeros(len(GATES[cell]), n_a, dtype=torch.float64)
    if cell == "gru_reset_after":
        b_a = torch.cat([b_a[:2], leaves["b_ca"].T])
    W_x, W_a = (stack(f"W_{{}}{source}", lambda W: W) for source in "xa")
    return [W_x, W_a, stack("b_{}", lambda b: b[:, 0]), b_a.reshape(-1)]


def _by_hand(cell, g, v):
    def affine(gate, x, a):
        return x @ v[f"W_{gate}x"].T + a @ v[f"W_{gate}a"].T + v[f"b_{gate}"].T

    a, states = v["a0"].T, []
    for x in v["x"]:
        if cell == "gru":
            u, r = torch.sigmoid(affine("u", x, a)), torch.sigmoid(affine("r", x, a))
            a = a + u * (torch.tanh(affine("c", x, r * a)) - a)
        else:
            a = getattr(torch.nn.functional, g.name)(affine("a", x, a))
        states.append(a)
    return torch.stack(states), {"a": a}
