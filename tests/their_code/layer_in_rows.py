# ruff: noqa
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTM:
    """xs (T, N, D) -> hs (T, N, H). Wx (D, 4H), Wh (H, 4H), b (4H,); order f, g, i, o."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.h = None
        self.c = None
        self.dh = None

    def set_state(self, h, c=None):
        self.h, self.c = h, c

    def forward(self, xs):
        Wx, Wh, b = self.params
        T, N, D = xs.shape
        H = Wh.shape[0]
        if self.h is None:
            self.h = np.zeros((N, H))
        if self.c is None:
            self.c = np.zeros((N, H))
        hs = np.empty((T, N, H))
        self.cache = []
        for t in range(T):
            A = np.dot(xs[t], Wx) + np.dot(self.h, Wh) + b
            f = sigmoid(A[:, :H])
            g = np.tanh(A[:, H : 2 * H])
            i = sigmoid(A[:, 2 * H : 3 * H])
            o = sigmoid(A[:, 3 * H :])
            c_next = f * self.c + g * i
            h_next = o * np.tanh(c_next)
            self.cache.append((xs[t], self.h, self.c, f, g, i, o, c_next))
            self.h, self.c = h_next, c_next
            hs[t] = h_next
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        T, N, H = dhs.shape
        dxs = np.empty((T, N, Wx.shape[0]))
        dWx, dWh, db = 0, 0, 0
        dh, dc = np.zeros((N, H)), np.zeros((N, H))
        for t in reversed(range(T)):
            x, h_prev, c_prev, f, g, i, o, c_next = self.cache[t]
            dh_t = dhs[t] + dh
            tanh_c = np.tanh(c_next)
            dc_t = dc + dh_t * o * (1 - tanh_c**2)
            dA = np.hstack(
                (
                    dc_t * c_prev * f * (1 - f),
                    dc_t * i * (1 - g**2),
                    dc_t * g * i * (1 - i),
                    dh_t * tanh_c * o * (1 - o),
                )
            )
            dWx = dWx + np.dot(x.T, dA)
            dWh = dWh + np.dot(h_prev.T, dA)
            db = db + dA.sum(axis=0)
            dxs[t] = np.dot(dA, Wx.T)
            dh = np.dot(dA, Wh.T)
            dc = dc_t * f
        self.grads[0][...], self.grads[1][...], self.grads[2][...] = dWx, dWh, db
        self.dh = dh
        return dxs
