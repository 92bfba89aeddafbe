# ruff: noqa
import numpy as np


def rnn_forward(x, /, h0, *, Wxh, Whh, bh, activation=np.tanh, verbose=False):
    """x (N, T, D)"""
    N, T, D = x.shape
    h = np.zeros((N, T, Whh.shape[0]), dtype=x.dtype)
    prev = h0
    for t in range(T):
        prev = activation(x[:, t] @ Wxh + prev @ Whh + bh)
        h[:, t] = prev
        if verbose:
            print(t, prev.mean())
    return h, {"x": x, "h": h, "h0": h0, "Wxh": Wxh, "Whh": Whh}


def rnn_backward(dh, cache, **kwargs):
    x, h, h0, Wxh, Whh = (cache[k] for k in ("x", "h", "h0", "Wxh", "Whh"))
    N, T, D = x.shape
    dx = np.zeros_like(x)
    dWxh, dWhh, dbh = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros(Whh.shape[0])
    dnext = np.zeros_like(h0)
    for t in reversed(range(T)):
        dz = (dh[:, t] + dnext) * (1 - h[:, t] ** 2)
        prev = h[:, t - 1] if t else h0
        dx[:, t] = dz @ Wxh.T
        dWxh += x[:, t].T @ dz
        dWhh += prev.T @ dz
        dbh += dz.sum(0)
        dnext = dz @ Whh.T
    return {"dx": dx, "dh0": dnext, "dWxh": dWxh, "dWhh": dWhh, "dbh": dbh}
