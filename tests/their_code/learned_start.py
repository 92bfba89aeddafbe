# ruff: noqa
import numpy as np


class RNN:
    def __init__(self, n_x, n_a, n_y):
        self.Wax = np.random.randn(n_a, n_x) * 0.1
        self.Waa = np.random.randn(n_a, n_a) * 0.1
        self.ba = np.zeros((n_a, 1))
        self.Wya = np.random.randn(n_y, n_a) * 0.1
        self.by = np.zeros((n_y, 1))
        self.a0 = np.zeros((n_a, 1))

    def forward(self, X, a0=None):
        """X (n_x, m, T)"""
        self.X = X
        m, T = X.shape[1], X.shape[2]
        a = np.repeat(self.a0, m, axis=1) if a0 is None else a0
        self.states = [a]
        self.probs = []
        for t in range(T):
            a = np.tanh(self.Waa @ a + self.Wax @ X[:, :, t] + self.ba)
            z = self.Wya @ a + self.by
            e = np.exp(z - z.max(axis=0))
            self.states.append(a)
            self.probs.append(e / e.sum(axis=0))
        return self.probs

    def backward(self, Y):
        m, T = Y.shape[1], Y.shape[2]
        self.dWax, self.dWaa, self.dWya = (
            np.zeros_like(self.Wax),
            np.zeros_like(self.Waa),
            np.zeros_like(self.Wya),
        )
        self.dba, self.dby = np.zeros_like(self.ba), np.zeros_like(self.by)
        da_next = np.zeros_like(self.states[0])
        for t in range(T - 1, -1, -1):
            dz = (self.probs[t] - Y[:, :, t]) / m
            self.dWya += dz @ self.states[t + 1].T
            self.dby += dz.sum(axis=1, keepdims=True)
            dt = (self.Wya.T @ dz + da_next) * (1 - self.states[t + 1] ** 2)
            self.dWaa += dt @ self.states[t].T
            self.dWax += dt @ self.X[:, :, t].T
            self.dba += dt.sum(axis=1, keepdims=True)
            da_next = self.Waa.T @ dt
        self.da0 = da_next.sum(axis=1, keepdims=True)
