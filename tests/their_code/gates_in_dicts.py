# ruff: noqa
import numpy as np


def sigm(v):
    return 1 / (1 + np.exp(-v))


class GRU:
    def __init__(self, n_in, n_hidden, n_out):
        self.U = {g: np.random.randn(n_hidden, n_in) for g in ("reset", "update", "new")}
        self.V = {g: np.random.randn(n_hidden, n_hidden) for g in ("reset", "update", "new")}
        self.b = {g: np.zeros((n_hidden, 1)) for g in ("reset", "update", "new")}
        self.Wy, self.by = np.random.randn(n_out, n_hidden), np.zeros((n_out, 1))

    def forward(self, xs, h):
        self.kept = []
        logs = []
        for x in xs:
            r = sigm(self.U["reset"] @ x + self.V["reset"] @ h + self.b["reset"])
            u = sigm(self.U["update"] @ x + self.V["update"] @ h + self.b["update"])
            k = np.tanh(self.U["new"] @ x + self.V["new"] @ (r * h) + self.b["new"])
            new = u * k + (1 - u) * h
            v = self.Wy @ new + self.by
            v = v - v.max(axis=0)
            logs.append(v - np.log(np.exp(v).sum(axis=0)))
            self.kept.append((x, h, r, u, k, new))
            h = new
        return logs

    def loss(self, logs, ys):
        return -sum((y * p).sum() for p, y in zip(logs, ys)) / ys[0].shape[1]

    def backward(self, logs, ys):
        dU = {g: np.zeros_like(w) for g, w in self.U.items()}
        dV = {g: np.zeros_like(w) for g, w in self.V.items()}
        db = {g: np.zeros_like(w) for g, w in self.b.items()}
        dWy, dby = np.zeros_like(self.Wy), np.zeros_like(self.by)
        dh = 0
        for t in range(len(logs) - 1, -1, -1):
            x, h, r, u, k, new = self.kept[t]
            dy = (np.exp(logs[t]) - ys[t]) / ys[t].shape[1]
            dWy += dy @ new.T
            dby += dy.sum(axis=1, keepdims=True)
            dh = dh + self.Wy.T @ dy
            d = {"new": dh * u * (1 - k**2), "update": dh * (k - h) * u * (1 - u)}
            drh = self.V["new"].T @ d["new"]
            d["reset"] = drh * h * r * (1 - r)
            for g, inner in (("reset", h), ("update", h), ("new", r * h)):
                dU[g] += d[g] @ x.T
                dV[g] += d[g] @ inner.T
                db[g] += d[g].sum(axis=1, keepdims=True)
            dh = (
                dh * (1 - u)
                + drh * r
                + self.V["reset"].T @ d["reset"]
                + self.V["update"].T @ d["update"]
            )
        return dU, dV, db, dWy, dby
