# ruff: noqa
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_cell_forward(xt, a_prev, parameters):
    concat = np.vstack([a_prev, xt])
    u = sigmoid(parameters["Wu"] @ concat + parameters["bu"])
    r = sigmoid(parameters["Wr"] @ concat + parameters["br"])
    cc = np.tanh(parameters["Wc"] @ np.vstack([r * a_prev, xt]) + parameters["bc"])
    a_next = u * cc + (1 - u) * a_prev
    return a_next, (a_prev, xt, u, r, cc, parameters)


def gru_forward(x, a0, parameters):
    a = np.zeros((a0.shape[0], a0.shape[1], x.shape[2]))
    caches = []
    a_next = a0
    for t in range(x.shape[2]):
        a_next, cache = gru_cell_forward(x[:, :, t], a_next, parameters)
        a[..., t] = a_next
        caches.append(cache)
    return a, caches


def gru_cell_backward(da_next, cache):
    a_prev, xt, u, r, cc, p = cache
    n_a = a_prev.shape[0]
    du = da_next * (cc - a_prev) * u * (1 - u)
    dcc = da_next * u * (1 - cc**2)
    dcon = p["Wc"].T @ dcc
    dr = dcon[:n_a] * a_prev * r * (1 - r)
    concat = np.vstack([a_prev, xt])
    dcu = p["Wu"].T @ du + p["Wr"].T @ dr
    return {
        "dWu": du @ concat.T,
        "dWr": dr @ concat.T,
        "dWc": dcc @ np.vstack([r * a_prev, xt]).T,
        "dbu": du.sum(1, keepdims=True),
        "dbr": dr.sum(1, keepdims=True),
        "dbc": dcc.sum(1, keepdims=True),
        "da_prev": da_next * (1 - u) + dcon[:n_a] * r + dcu[:n_a],
        "dxt": dcon[n_a:] + dcu[n_a:],
    }


def gru_backward(da, caches):
    n_a, m, T = da.shape
    dx = None
    out = {}
    da_prev = np.zeros((n_a, m))
    for t in range(T - 1, -1, -1):
        g = gru_cell_backward(da[:, :, t] + da_prev, caches[t])
        da_prev = g.pop("da_prev")
        dxt = g.pop("dxt")
        if dx is None:
            dx = np.zeros(dxt.shape + (T,))
        dx[:, :, t] = dxt
        for k, v in g.items():
            out[k] = out.get(k, 0) + v
    out["dx"] = dx
    out["da0"] = da_prev
    return out
