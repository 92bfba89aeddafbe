# ruff: noqa
import numpy as np


class Cell:
    def __init__(self, n_x, n_h):
        self.Wx = np.random.randn(n_h, n_x)
        self.Wh = np.random.randn(n_h, n_h)
        self.b = np.zeros((n_h, 1))
        self.dWx = self.dWh = self.db = None

    def forward(self, x, h):
        return np.tanh(self.Wx @ x + self.Wh @ h + self.b)

    def backward(self, dh, x, h_prev, h):
        dz = dh * (1 - h**2)
        self.dWx = self.dWx + dz @ x.T
        self.dWh = self.dWh + dz @ h_prev.T
        self.db = self.db + dz.sum(1, keepdims=True)
        return self.Wx.T @ dz, self.Wh.T @ dz


class Net:
    def __init__(self, n_x, n_h):
        self.cell = Cell(n_x, n_h)

    def forward(self, xs, h0):
        self.xs = xs
        self.hs = [h0]
        for t in range(len(xs)):
            self.hs.append(self.cell.forward(xs[t], self.hs[-1]))
        return self.hs[1:]

    def backward(self, dhs):
        self.cell.dWx = np.zeros_like(self.cell.Wx)
        self.cell.dWh = np.zeros_like(self.cell.Wh)
        self.cell.db = np.zeros_like(self.cell.b)
        carry = 0
        dxs = [None] * len(dhs)
        for t in range(len(dhs) - 1, -1, -1):
            dxs[t], carry = self.cell.backward(
                dhs[t] + carry, self.xs[t], self.hs[t], self.hs[t + 1]
            )
        self.dh0 = carry
        return dxs
