# ruff: noqa
import numpy as np


class R:
    def __init__(self, input_size, hidden_size, output_size):
        self.Wxh = np.random.randn(hidden_size, input_size)
        self.Whh = np.random.randn(hidden_size, hidden_size)
        self.Why = np.random.randn(output_size, hidden_size)
        self.bh = np.zeros((hidden_size, 1))
        self.by = np.zeros((output_size, 1))

    def forward(self, X):
        n, m, T = X.shape
        self.X, self.H, Y = X, np.zeros((self.Whh.shape[0], m, T + 1)), []
        for t in range(T):
            self.H[:, :, t + 1] = np.tanh(
                self.Wxh @ X[:, :, t] + self.Whh @ self.H[:, :, t] + self.bh
            )
            Y.append(self.Why @ self.H[:, :, t + 1] + self.by)
        return np.stack(Y, axis=2)

    def backward(self, d_y):
        self.d_Wxh, self.d_Whh, self.d_Why = 0, 0, 0
        dn = 0
        for t in range(d_y.shape[2])[::-1]:
            self.d_Why += d_y[:, :, t] @ self.H[:, :, t + 1].T
            d = (self.Why.T @ d_y[:, :, t] + dn) * (1 - self.H[:, :, t + 1] ** 2)
            self.d_Wxh += d @ self.X[:, :, t].T
            self.d_Whh += d @ self.H[:, :, t].T
            dn = self.Whh.T @ d
