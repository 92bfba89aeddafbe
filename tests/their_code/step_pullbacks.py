# ruff: noqa
import numpy as np


def rnn_step(params, x, s):
    U, V, b = params["U"], params["V"], params["b"]
    new = np.tanh(x @ U + s @ V + b)

    def pull(ds, grads):
        dz = ds * (1 - new**2)
        grads["U"] += x.T @ dz
        grads["V"] += s.T @ dz
        grads["b"] += dz.sum(axis=0)
        return dz @ U.T, dz @ V.T

    return new, pull


def rnn_forward(params, xs, s0):
    """xs (N, T, D). Returns the states (N, T, H) and a function that takes their gradient."""
    N, T, D = xs.shape
    s, states, pulls = s0, [], []
    for t in range(T):
        s, pull = rnn_step(params, xs[:, t], s)
        states.append(s)
        pulls.append(pull)

    def backward(dstates):
        grads = {k: np.zeros_like(v) for k, v in params.items()}
        dxs = np.zeros_like(xs)
        ds = np.zeros_like(s0)
        for t in range(T - 1, -1, -1):
            dxs[:, t], ds = pulls[t](dstates[:, t] + ds, grads)
        return dxs, ds, grads

    return np.stack(states, axis=1), backward
