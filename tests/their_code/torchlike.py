# ruff: noqa
import numpy as np


class VanillaRNN:
    def __init__(self, input_size, hidden_size, output_size):
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.Wxh = np.random.randn(hidden_size, input_size) * 0.01
        self.Whh = np.random.randn(hidden_size, hidden_size) * 0.01
        self.Why = np.random.randn(output_size, hidden_size) * 0.01
        self.bh = np.zeros((hidden_size, 1))
        self.by = np.zeros((output_size, 1))

    def step(self, x, h):
        h = np.tanh(self.Wxh @ x + self.Whh @ h + self.bh)
        y = self.Why @ h + self.by
        return h, y

    def __call__(self, inputs, h):
        self.inputs = inputs
        self.hs = {-1: h}
        self.logits = {}
        for t in range(len(inputs)):
            h, self.logits[t] = self.step(inputs[t], h)
            self.hs[t] = h
        return self.logits, h

    def backward(self, targets):
        self.dWxh = np.zeros_like(self.Wxh)
        self.dWhh = np.zeros_like(self.Whh)
        self.dWhy = np.zeros_like(self.Why)
        self.dbh = np.zeros_like(self.bh)
        self.dby = np.zeros_like(self.by)
        dh_next = 0
        loss = 0
        for t in reversed(range(len(targets))):
            z = self.logits[t] - self.logits[t].max(axis=0, keepdims=True)
            p = np.exp(z) / np.exp(z).sum(axis=0, keepdims=True)
            loss -= np.sum(targets[t] * np.log(p))
            dy = p - targets[t]
            self.dWhy += dy @ self.hs[t].T
            self.dby += dy.sum(axis=1, keepdims=True)
            dh = self.Why.T @ dy + dh_next
            draw = dh * (1 - self.hs[t] ** 2)
            self.dWxh += draw @ self.inputs[t].T
            self.dWhh += draw @ self.hs[t - 1].T
            self.dbh += draw.sum(axis=1, keepdims=True)
            dh_next = self.Whh.T @ draw
        return loss
