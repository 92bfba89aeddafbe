# ruff: noqa
from dataclasses import dataclass, field
from collections import deque
import numpy as np


@dataclass
class ElmanLayer:
    n_inputs: int
    n_hidden: int
    seed: int = 0
    W_in: np.ndarray = field(init=False)
    W_rec: np.ndarray = field(init=False)
    bias: np.ndarray = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.W_in = rng.normal(scale=0.1, size=(self.n_hidden, self.n_inputs))
        self.W_rec = rng.normal(scale=0.1, size=(self.n_hidden, self.n_hidden))
        self.bias = np.zeros((self.n_hidden, 1))

    def fprop(self, X: np.ndarray, h0: np.ndarray) -> np.ndarray:
        self.tape = deque()
        h = h0
        outs = []
        for x in X:
            h_new = np.tanh(self.W_in @ x + self.W_rec @ h + self.bias)
            self.tape.append((x, h, h_new))
            h = h_new
            outs.append(h)
        return np.array(outs)

    def bprop(self, dH: np.ndarray) -> dict[str, np.ndarray]:
        grads = {"W_in": 0.0, "W_rec": 0.0, "bias": 0.0}
        carry = 0.0
        k = len(dH)
        while self.tape:
            k -= 1
            x, h_prev, h = self.tape.pop()
            dz = (dH[k] + carry) * (1 - h**2)
            grads["W_in"] = grads["W_in"] + dz @ x.T
            grads["W_rec"] = grads["W_rec"] + dz @ h_prev.T
            grads["bias"] = grads["bias"] + dz.sum(axis=1, keepdims=True)
            carry = self.W_rec.T @ dz
        return grads
