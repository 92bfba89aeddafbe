# ruff: noqa
import numpy as np


def forward(xs, *, params, h0=None):
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    if h0 is None:
        h0 = np.zeros((xs.shape[0], Wh.shape[0]))
    hs, h = [], h0
    for t in range(xs.shape[1]):
        h = np.tanh(xs[:, t] @ Wx + h @ Wh + b)
        hs.append(h)
    return np.stack(hs, axis=1)


def backward(dhs, xs, hs, *, params, h0=None):
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    if h0 is None:
        h0 = np.zeros((xs.shape[0], Wh.shape[0]))
    dxs = np.zeros_like(xs)
    dWx = np.zeros_like(Wx)
    dWh = np.zeros_like(Wh)
    db = np.zeros_like(b)
    dh = 0
    for t in range(xs.shape[1] - 1, -1, -1):
        dz = (dhs[:, t] + dh) * (1 - hs[:, t] ** 2)
        prev = hs[:, t - 1] if t else h0
        dWx += xs[:, t].T @ dz
        dWh += prev.T @ dz
        db += dz.sum(0)
        dxs[:, t] = dz @ Wx.T
        dh = dz @ Wh.T
    return dxs, dict(Wx=dWx, Wh=dWh, b=db)
