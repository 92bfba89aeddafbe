# ruff: noqa
import numpy as np


class Affine:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_out, n_in) / np.sqrt(n_in)
        self.b = np.zeros(n_out)
        self.clear()

    def clear_grads(self):
        self.clear()

    def clear(self):
        self.inputs = []
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def __call__(self, x):
        self.inputs.append(x)
        return x @ self.W.T + self.b

    def backward(self, dout):
        x = self.inputs.pop()
        self.dW += dout.T @ x
        self.db += dout.sum(axis=0)
        return dout @ self.W


class Tanh:
    def __init__(self):
        self.outputs = []

    def __call__(self, x):
        self.outputs.append(np.tanh(x))
        return self.outputs[-1]

    def backward(self, dout):
        y = self.outputs.pop()
        return dout * (1 - y * y)


class LogSoftmaxLoss:
    def __call__(self, scores, labels):
        scores = scores - scores.max(axis=1, keepdims=True)
        self.logp = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        self.labels = labels
        return -self.logp[np.arange(len(labels)), labels].mean()

    def backward(self):
        d = np.exp(self.logp)
        d[np.arange(len(self.labels)), self.labels] -= 1
        return d / len(self.labels)


class Reader:
    def __init__(self, n_in, n_hidden, n_classes):
        self.layers = {
            "x2h": Affine(n_in, n_hidden),
            "h2h": Affine(n_hidden, n_hidden),
            "h2y": Affine(n_hidden, n_classes),
        }
        self.act = Tanh()
        self.loss = LogSoftmaxLoss()

    def forward(self, xs, h):
        self.shape = xs.shape
        for t in range(xs.shape[1]):
            h = self.act(self.layers["x2h"](xs[:, t]) + self.layers["h2h"](h))
        return self.layers["h2y"](h)

    def backward(self, dscores):
        dxs = np.zeros(self.shape)
        dh = self.layers["h2y"].backward(dscores)
        for t in reversed(range(self.shape[1])):
            dz = self.act.backward(dh)
            dxs[:, t] = self.layers["x2h"].backward(dz)
            dh = self.layers["h2h"].backward(dz)
        return dxs, dh

    def train_step(self, xs, h, labels, lr):
        for layer in self.layers.values():
            layer.clear_grads()
        loss = self.loss(self.forward(xs, h), labels)
        self.backward(self.loss.backward())
        for layer in self.layers.values():
            layer.W -= lr * layer.dW
            layer.b -= lr * layer.db
        return loss
