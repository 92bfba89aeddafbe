# ruff: noqa
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class GRU:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        N, T, D = x.shape
        H = Wh.shape[0]
        hs = np.zeros((N, T, H))
        self.cache = []
        h = h_prev
        for t in range(T):
            xz = x[:, t] @ Wx + b
            z = sigmoid(xz[:, :H] + h @ Wh[:, :H])
            r = sigmoid(xz[:, H : 2 * H] + h @ Wh[:, H : 2 * H])
            hh = np.tanh(xz[:, 2 * H :] + (r * h) @ Wh[:, 2 * H :])
            self.cache.append((x[:, t], h, z, r, hh))
            h = (1 - z) * h + z * hh
            hs[:, t] = h
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dxs = np.zeros((N, T, Wx.shape[0]))
        dh = np.zeros((N, H))
        for t in reversed(range(T)):
            x, h, z, r, hh = self.cache[t]
            d = dhs[:, t] + dh
            dz = d * (hh - h) * z * (1 - z)
            dhh = d * z * (1 - hh**2)
            drh = dhh @ Wh[:, 2 * H :].T
            dr = drh * h * r * (1 - r)
            dgates = np.hstack([dz, dr, dhh])
            dWx += x.T @ dgates
            db += dgates.sum(axis=0)
            dWh[:, :H] += h.T @ dz
            dWh[:, H : 2 * H] += h.T @ dr
            dWh[:, 2 * H :] += (r * h).T @ dhh
            dxs[:, t] = dgates @ Wx.T
            dh = d * (1 - z) + drh * r + dz @ Wh[:, :H].T + dr @ Wh[:, H : 2 * H].T
        self.grads[0][...] = dWx
        self.grads[1][...] = dWh
        self.grads[2][...] = db
        self.dh0 = dh
        return dxs
