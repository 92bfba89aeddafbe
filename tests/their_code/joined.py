# ruff: noqa
import numpy as np


def forward(X, h0, W):
    T, B, D = X.shape
    H = h0.shape[1]
    hs = np.zeros((T, B, H))
    zs = []
    h = h0
    for t in range(T):
        z = np.concatenate([h, X[t]], axis=1)
        h = np.tanh(z @ W)
        zs.append(z)
        hs[t] = h
    return hs, (zs, hs, W)


def backward(dhs, cache):
    zs, hs, W = cache
    H = W.shape[1]
    dW = np.zeros_like(W)
    dh = np.zeros_like(dhs[0])
    dX = []
    for t in reversed(range(len(zs))):
        dz = (dhs[t] + dh) * (1 - hs[t] ** 2)
        dW += zs[t].T @ dz
        dcat = dz @ W.T
        dh = dcat[:, :H]
        dX.insert(0, dcat[:, H:])
    return dW, dh, np.array(dX)
