# ruff: noqa
import numpy as np


class Weight:
    def __init__(self, value):
        self.value = value
        self.grad = np.zeros_like(value)


class Net:
    def __init__(self, n_in, n_hidden):
        self.Wx = Weight(np.random.randn(n_in, n_hidden))
        self.Wh = Weight(np.random.randn(n_hidden, n_hidden))
        self.b = Weight(np.zeros(n_hidden))

    def forward(self, X, h0):
        self.X, self.hs = X, [h0]
        for t in range(X.shape[1]):
            a = X[:, t] @ self.Wx.value + self.hs[-1] @ self.Wh.value + self.b.value
            self.hs.append(np.tanh(a))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dH):
        for w in (self.Wx, self.Wh, self.b):
            w.grad = np.zeros_like(w.value)
        carry = 0
        for t in reversed(range(dH.shape[1])):
            da = (dH[:, t] + carry) * (1 - self.hs[t + 1] ** 2)
            self.Wx.grad += self.X[:, t].T @ da
            self.Wh.grad += self.hs[t].T @ da
            self.b.grad += da.sum(axis=0)
            carry = da @ self.Wh.value.T
        return carry
