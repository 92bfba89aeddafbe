# ruff: noqa
import numpy as np


class BasicRNN:
    def __init__(self, input_dim, hidden_dim, output_dim):
        self.U = np.random.uniform(-0.1, 0.1, (hidden_dim, input_dim)).astype(np.float32)
        self.W = np.random.uniform(-0.1, 0.1, (hidden_dim, hidden_dim)).astype(np.float32)
        self.V = np.random.uniform(-0.1, 0.1, (output_dim, hidden_dim)).astype(np.float32)
        self.b = np.zeros((hidden_dim, 1), dtype=np.float32)
        self.c = np.zeros((output_dim, 1), dtype=np.float32)

    def forward(self, x):
        # x: (T, input_dim, batch)
        self.x = x.astype(np.float32)
        T = x.shape[0]
        B = x.shape[2]
        self.s = np.zeros((T + 1, self.W.shape[0], B), dtype=np.float32)
        self.o = np.zeros((T, self.V.shape[0], B), dtype=np.float32)
        for t in range(T):
            self.s[t] = np.tanh(self.U @ self.x[t] + self.W @ self.s[t - 1] + self.b)
            logits = self.V @ self.s[t] + self.c
            e = np.exp(logits - logits.max(axis=0))
            self.o[t] = e / e.sum(axis=0)
        return self.o

    def bptt(self, y):
        T, _, B = y.shape
        dU, dV, dW = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros_like(self.W)
        db, dc = np.zeros_like(self.b), np.zeros_like(self.c)
        ds_next = np.zeros_like(self.s[0])
        for t in range(T - 1, -1, -1):
            do = (self.o[t] - y[t]) / B
            dV += do @ self.s[t].T
            dc += do.sum(1, keepdims=True)
            ds = self.V.T @ do + ds_next
            dz = ds * (1 - self.s[t] ** 2)
            dU += dz @ self.x[t].T
            dW += dz @ self.s[t - 1].T
            db += dz.sum(1, keepdims=True)
            ds_next = self.W.T @ dz
        return dU, dV, dW, db, dc
