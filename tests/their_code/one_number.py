# ruff: noqa
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTMRegressor:
    def __init__(self, n_features, units):
        self.units = units
        self.kernel = np.random.randn(n_features, 4 * units) * 0.1
        self.recurrent_kernel = np.random.randn(units, 4 * units) * 0.1
        self.offset_b = np.zeros(4 * units)
        self.head = np.random.randn(units, 1)
        self.head_b = np.zeros(1)

    def predict(self, X):
        self.X, self.steps = X, []
        h = c = np.zeros((X.shape[0], self.units))
        for t in range(X.shape[1]):
            before = h, c
            z = X[:, t] @ self.kernel + h @ self.recurrent_kernel + self.offset_b
            i, f, g, o = np.split(z, 4, axis=1)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            c = f * c + i * g
            h = o * np.tanh(c)
            self.steps.append((*before, i, f, g, o, c))
        self.h_last = h
        return h @ self.head + self.head_b

    def loss(self, y_pred, y_true):
        return np.mean((y_pred - y_true) ** 2)

    def backward(self, y_pred, y_true):
        d = 2 * (y_pred - y_true) / len(y_true)
        self.d_head, self.d_head_b = self.h_last.T @ d, d.sum(axis=0)
        self.d_kernel = np.zeros_like(self.kernel)
        self.d_recurrent_kernel = np.zeros_like(self.recurrent_kernel)
        self.d_offset_b = np.zeros_like(self.offset_b)
        dh, dc = d @ self.head.T, 0
        for t in reversed(range(len(self.steps))):
            h, c_old, i, f, g, o, c = self.steps[t]
            do = dh * np.tanh(c) * o * (1 - o)
            dc = dc + dh * o * (1 - np.tanh(c) ** 2)
            df = dc * c_old * f * (1 - f)
            dz = np.hstack([dc * g * i * (1 - i), df, dc * i * (1 - g**2), do])
            self.d_kernel += self.X[:, t].T @ dz
            self.d_recurrent_kernel += h.T @ dz
            self.d_offset_b += dz.sum(axis=0)
            dh, dc = dz @ self.recurrent_kernel.T, dc * f
