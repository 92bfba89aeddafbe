# ruff: noqa
import numpy as np


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def make_gru(n_in, n_hidden, n_out, seed=3):
    rng = np.random.RandomState(seed)
    p = {}
    for g in ("z", "r", "h"):
        p["W" + g] = rng.randn(n_hidden, n_in) * 0.3
        p["U" + g] = rng.randn(n_hidden, n_hidden) * 0.3
        p["b" + g] = np.zeros((n_hidden, 1))
    p["Wy"] = rng.randn(n_out, n_hidden) * 0.3
    p["by"] = np.zeros((n_out, 1))
    memory = []
    grads = {}

    def forward(X, h0):
        """X (n_in, m, T)."""
        memory.clear()
        h = h0
        log_probs = np.zeros((n_out, X.shape[1], X.shape[2]))
        for t in range(X.shape[2]):
            x, h_prev = X[:, :, t], h
            z = sigmoid(p["Wz"] @ x + p["Uz"] @ h_prev + p["bz"])
            r = sigmoid(p["Wr"] @ x + p["Ur"] @ h_prev + p["br"])
            hh = np.tanh(p["Wh"] @ x + p["Uh"] @ (r * h_prev) + p["bh"])
            h = (1 - z) * h_prev + z * hh
            scores = p["Wy"] @ h + p["by"]
            scores = scores - scores.max(axis=0, keepdims=True)
            log_probs[:, :, t] = scores - np.log(np.exp(scores).sum(axis=0, keepdims=True))
            memory.append((x, h_prev, z, r, hh, h))
        return log_probs

    def loss(log_probs, Y):
        return -np.sum(Y * log_probs) / Y.shape[1]

    def backward(log_probs, Y):
        m, T = Y.shape[1], Y.shape[2]
        for k in p:
            grads[k] = np.zeros_like(p[k])
        dh = np.zeros((n_hidden, m))
        while memory:
            x, h_prev, z, r, hh, h = memory.pop()
            t = len(memory)
            dy = (np.exp(log_probs[:, :, t]) - Y[:, :, t]) / m
            grads["Wy"] += dy @ h.T
            grads["by"] += dy.sum(axis=1, keepdims=True)
            dh = dh + p["Wy"].T @ dy
            daz = dh * (hh - h_prev) * z * (1 - z)
            dah = dh * z * (1 - hh**2)
            drh = p["Uh"].T @ dah
            dar = drh * h_prev * r * (1 - r)
            for g, da, left in (("z", daz, h_prev), ("r", dar, h_prev), ("h", dah, r * h_prev)):
                grads["W" + g] += da @ x.T
                grads["U" + g] += da @ left.T
                grads["b" + g] += da.sum(axis=1, keepdims=True)
            dh = dh * (1 - z) + drh * r + p["Uz"].T @ daz + p["Ur"].T @ dar
        return grads

    return {"params": p, "forward": forward, "loss": loss, "backward": backward}
