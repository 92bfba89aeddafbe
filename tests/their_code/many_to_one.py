# ruff: noqa
import numpy as np


def softmax(z):
    z = z - z.max(axis=0, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=0, keepdims=True)


def forward(X, params):
    """X: (n_x, m, T). Only the last hidden state is used."""
    Wax, Waa, ba, Wya, by = params["Wax"], params["Waa"], params["ba"], params["Wya"], params["by"]
    n_a = Waa.shape[0]
    m, T = X.shape[1], X.shape[2]
    a = np.zeros((n_a, m, T + 1))
    for t in range(T):
        a[:, :, t + 1] = np.tanh(Waa @ a[:, :, t] + Wax @ X[:, :, t] + ba)
    z = Wya @ a[:, :, T] + by
    y_hat = softmax(z)
    return y_hat, (X, a, z, y_hat)


def loss_fn(z, Y):
    z = z - z.max(axis=0, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=0, keepdims=True))
    return -np.sum(Y * logp) / Y.shape[1]


def backward(Y, cache, params):
    """Y: (n_y, m) one-hot"""
    X, a, z, y_hat = cache
    m, T = X.shape[1], X.shape[2]
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    dz = (y_hat - Y) / m
    grads["Wya"] = dz @ a[:, :, T].T
    grads["by"] = dz.sum(axis=1, keepdims=True)
    da = params["Wya"].T @ dz
    for t in range(T, 0, -1):
        dza = da * (1 - a[:, :, t] ** 2)
        grads["Wax"] += dza @ X[:, :, t - 1].T
        grads["Waa"] += dza @ a[:, :, t - 1].T
        grads["ba"] += dza.sum(axis=1, keepdims=True)
        da = params["Waa"].T @ dza
    return grads
