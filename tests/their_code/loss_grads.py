# ruff: noqa
import numpy as np


def loss_and_grads(params, X, Y):
    W, U, V, b, c = params["W"], params["U"], params["V"], params["b"], params["c"]
    n_x, m, T = X.shape
    h = [np.zeros((W.shape[0], m))]
    p, loss = [], 0.0
    for t in range(T):
        h.append(np.tanh(W @ h[t] + U @ X[:, :, t] + b))
        o = V @ h[t + 1] + c
        e = np.exp(o - o.max(axis=0))
        p.append(e / e.sum(axis=0))
        loss -= (Y[:, :, t] * np.log(p[t])).sum() / m
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    dh_next = np.zeros_like(h[0])
    for t in range(T)[::-1]:
        do = (p[t] - Y[:, :, t]) / m
        grads["V"] += do @ h[t + 1].T
        grads["c"] += do.sum(axis=1, keepdims=True)
        dh = V.T @ do + dh_next
        dz = (1 - h[t + 1] ** 2) * dh
        grads["W"] += dz @ h[t].T
        grads["U"] += dz @ X[:, :, t].T
        grads["b"] += dz.sum(axis=1, keepdims=True)
        dh_next = W.T @ dz
    return loss, grads
