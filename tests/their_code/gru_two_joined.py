# ruff: noqa
import numpy as np


def sig(v):
    return 1 / (1 + np.exp(-v))


class Encoder:
    """x (D, N, T). Both gates in one matrix over [h; x], reset first; the candidate over [r h; x]."""

    def __init__(self, size_in, size_state):
        self.Wg = 0.1 * np.random.randn(2 * size_state, size_state + size_in)
        self.bg = np.zeros((2 * size_state, 1))
        self.Wn = 0.1 * np.random.randn(size_state, size_state + size_in)
        self.bn = np.zeros((size_state, 1))

    def forward(self, x, h0):
        self.steps, hs, h = [], [], h0
        for t in range(x.shape[2]):
            hx = np.vstack((h, x[:, :, t]))
            r, z = np.split(sig(self.Wg @ hx + self.bg), 2, axis=0)
            rhx = np.vstack((r * h, x[:, :, t]))
            n = np.tanh(self.Wn @ rhx + self.bn)
            self.steps.append((hx, rhx, h, r, z, n))
            h = (1 - z) * n + z * h
            hs.append(h)
        return np.stack(hs, axis=2)

    def backward(self, dhs):
        self.dWg, self.dbg = np.zeros_like(self.Wg), np.zeros_like(self.bg)
        self.dWn, self.dbn = np.zeros_like(self.Wn), np.zeros_like(self.bn)
        H = len(self.bn)
        dxs, dh = [], np.zeros_like(dhs[:, :, 0])
        for t in range(dhs.shape[2] - 1, -1, -1):
            hx, rhx, h, r, z, n = self.steps[t]
            dh = dh + dhs[:, :, t]
            dan = dh * (1 - z) * (1 - n * n)
            daz = dh * (h - n) * z * (1 - z)
            drhx = self.Wn.T @ dan
            dar = drhx[:H] * h * r * (1 - r)
            dag = np.vstack((dar, daz))
            self.dWg += dag @ hx.T
            self.dbg += dag.sum(axis=1, keepdims=True)
            self.dWn += dan @ rhx.T
            self.dbn += dan.sum(axis=1, keepdims=True)
            dhx = self.Wg.T @ dag
            dxs.append(dhx[H:] + drhx[H:])
            dh = dh * z + drhx[:H] * r + dhx[:H]
        return np.stack(dxs[::-1], axis=2), dh
