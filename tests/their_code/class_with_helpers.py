# ruff: noqa
import matplotlib.pyplot as plt
import numpy as np
from rnn_utils import *

plt.rcParams["figure.figsize"] = (5.0, 4.0)


class Model:
    def __init__(self, n_a, X, Y):
        n_x, self.m, self.T_x = X.shape
        self.X, self.Y = X, Y
        self.p = {"Waa": np.eye(n_a), "Wax": np.ones((n_a, n_x)), "ba": np.zeros((n_a, 1))}
        self.p["Wya"], self.p["by"] = np.ones((Y.shape[0], n_a)), np.zeros((Y.shape[0], 1))
        self.A = np.zeros((n_a, self.m, self.T_x + 1))
        self.ZY = np.zeros(Y.shape)

    def forward(self):
        for t in range(self.T_x):
            za = self.p["Waa"] @ self.A[:, :, t] + self.p["Wax"] @ self.X[:, :, t] + self.p["ba"]
            self.A[:, :, t + 1] = tanh(za)
            self.ZY[:, :, t] = self.p["Wya"] @ self.A[:, :, t + 1] + self.p["by"]

    def cost(self):
        P = [softmax(self.ZY[:, :, t]) for t in range(self.T_x)]
        return -sum(np.sum(self.Y[:, :, t] * np.log(P[t])) for t in range(self.T_x)) / self.m

    def backward(self):
        g = {"d" + k: np.zeros_like(v) for k, v in self.p.items()}
        carry = np.zeros(self.A[:, :, 0].shape)
        for t in reversed(range(self.T_x)):
            P = softmax(self.ZY[:, :, t])
            dP = -self.Y[:, :, t] / P / self.m
            dZ = softmax_backward(dP, self.ZY[:, :, t])
            g["dWya"] += dZ @ self.A[:, :, t + 1].T
            g["dby"] += dZ.sum(axis=1, keepdims=True)
            da = self.p["Wya"].T @ dZ + carry
            za = self.p["Waa"] @ self.A[:, :, t] + self.p["Wax"] @ self.X[:, :, t] + self.p["ba"]
            d = tanh_backward(za) * da
            g["dWaa"] += d @ self.A[:, :, t].T
            g["dWax"] += d @ self.X[:, :, t].T
            g["dba"] += d.sum(axis=1, keepdims=True)
            carry = self.p["Waa"].T @ d
        self.grads = g
        return carry


model = Model(3, np.ones((2, 3, 4)), np.ones((2, 3, 4)))
for step in range(10**9):
    model.forward()
plt.plot([1, 2])
plt.show()
