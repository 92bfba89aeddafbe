# ruff: noqa
import numpy as np


class RNNCell:
    def __init__(self, input_size, hidden_size, *, rng=None):
        rng = rng or np.random.default_rng()
        self.input_size, self.hidden_size = input_size, hidden_size
        bound = hidden_size**-0.5
        self.weight_ih = rng.uniform(-bound, bound, (hidden_size, input_size))
        self.weight_hh = rng.uniform(-bound, bound, (hidden_size, hidden_size))
        self.bias = np.zeros(hidden_size)
        self.zero_grad()

    def zero_grad(self):
        self.grad_weight_ih = np.zeros_like(self.weight_ih)
        self.grad_weight_hh = np.zeros_like(self.weight_hh)
        self.grad_bias = np.zeros_like(self.bias)

    def __call__(self, x, h):
        h_next = np.tanh(x @ self.weight_ih.T + h @ self.weight_hh.T + self.bias)
        return h_next, (x, h, h_next)

    def backward(self, grad, cache):
        x, h, h_next = cache
        g = grad * (1 - h_next**2)
        self.grad_weight_ih += g.T @ x
        self.grad_weight_hh += g.T @ h
        self.grad_bias += g.sum(axis=0)
        return g @ self.weight_ih, g @ self.weight_hh


class RNN:
    def __init__(self, input_size, hidden_size):
        self.cell = RNNCell(input_size, hidden_size)

    def forward(self, xs, h0):
        self.caches = []
        h, out = h0, []
        for x in xs:
            h, cache = self.cell(x, h)
            self.caches.append(cache)
            out.append(h)
        return np.stack(out)

    def backward(self, grad_out):
        self.cell.zero_grad()
        dxs = [None] * len(grad_out)
        dh = np.zeros_like(grad_out[0])
        for t in reversed(range(len(grad_out))):
            dxs[t], dh = self.cell.backward(grad_out[t] + dh, self.caches[t])
        return np.stack(dxs), dh
