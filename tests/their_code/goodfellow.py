# ruff: noqa
import numpy as np


def loss_and_gradients(X, Y, W, U, V, b, c):
    """Goodfellow et al. chapter 10: a = b + W h + U x, o = c + V h. X (n_x, m, T)."""
    n_h = W.shape[0]
    n_x, m, T = X.shape
    H = np.zeros((n_h, m, T + 1))
    for t in range(T):
        H[:, :, t + 1] = np.tanh(b + W @ H[:, :, t] + U @ X[:, :, t])
    O = np.einsum("yh,hmt->ymt", V, H[:, :, 1:]) + c[:, :, None]
    S = O - O.max(axis=0)
    logp = S - np.log(np.exp(S).sum(axis=0))
    L = -(Y * logp).sum() / m
    dO = (np.exp(logp) - Y) / m
    dV = np.einsum("ymt,hmt->yh", dO, H[:, :, 1:])
    dc = dO.sum(axis=(1, 2))[:, None]
    dH = np.einsum("yh,ymt->hmt", V, dO)
    dA = np.zeros((n_h, m, T))
    g = np.zeros((n_h, m))
    for t in range(T - 1, -1, -1):
        g = (dH[:, :, t] + g) * (1 - H[:, :, t + 1] ** 2)
        dA[:, :, t] = g
        g = W.T @ g
    dW = np.tensordot(dA, H[:, :, :-1], axes=[(1, 2), (1, 2)])
    dU = np.tensordot(dA, X, axes=[(1, 2), (1, 2)])
    db = dA.sum(axis=2).sum(axis=1, keepdims=True)
    return L, dict(W=dW, U=dU, V=dV, b=db, c=dc)
