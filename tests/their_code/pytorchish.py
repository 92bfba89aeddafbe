# ruff: noqa
import numpy as np


class RNNModel:
    def __init__(self, input_dim, hidden_dim, output_dim, seed=0):
        rng = np.random.default_rng(seed)
        self.hidden_dim = hidden_dim
        self.params = {
            "W_ih": rng.normal(size=(hidden_dim, input_dim)),
            "W_hh": rng.normal(size=(hidden_dim, hidden_dim)),
            "b_h": np.zeros(hidden_dim),
            "W_hy": rng.normal(size=(output_dim, hidden_dim)),
            "b_y": np.zeros(output_dim),
        }

    def forward(self, X):
        p = self.params
        B, T, _ = X.shape
        self.X = X
        self.h = np.zeros((B, T + 1, self.hidden_dim))
        for t in range(T):
            self.h[:, t + 1] = np.tanh(
                X[:, t] @ p["W_ih"].T + self.h[:, t] @ p["W_hh"].T + p["b_h"]
            )
        self.logits = self.h[:, 1:] @ p["W_hy"].T + p["b_y"]
        e = np.exp(self.logits - self.logits.max(-1, keepdims=True))
        self.probs = e / e.sum(-1, keepdims=True)
        return self.probs

    def loss(self, y):
        B, T, _ = self.probs.shape
        return -np.log(self.probs[np.arange(B)[:, None], np.arange(T), y]).sum() / B

    def backward(self, y):
        p = self.params
        B, T, K = self.probs.shape
        dlogits = self.probs.copy()
        dlogits[np.arange(B)[:, None], np.arange(T), y] -= 1
        dlogits /= B
        grads = {k: np.zeros_like(v) for k, v in p.items()}
        grads["W_hy"] = np.einsum("btk,bth->kh", dlogits, self.h[:, 1:])
        grads["b_y"] = dlogits.sum((0, 1))
        carry = np.zeros((B, self.hidden_dim))
        for t in range(T - 1, -1, -1):
            dh = dlogits[:, t] @ p["W_hy"] + carry
            draw = dh * (1 - self.h[:, t + 1] ** 2)
            grads["W_ih"] += draw.T @ self.X[:, t]
            grads["W_hh"] += draw.T @ self.h[:, t]
            grads["b_h"] += draw.sum(0)
            carry = draw @ p["W_hh"]
        return grads
