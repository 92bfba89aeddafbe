# ruff: noqa
import numpy as np

GATES = ("forget", "write", "cand", "read")


def squash(v):
    return 1.0 / (1.0 + np.exp(-v))


def lstm_forward(X, Y, a0, params):
    q = params
    n, m = a0.shape
    h, mem = a0, np.zeros((n, m))
    tape, loss = [], 0.0
    for x, y in zip(X.transpose(2, 0, 1), Y.transpose(2, 0, 1)):
        pre = {g: q[f"W_{s}a"] @ h + q[f"W_{s}x"] @ x + q["b_" + s] for g, s in zip(GATES, "fico")}
        g = {k: np.tanh(v) if k == "cand" else squash(v) for k, v in pre.items()}
        old = mem
        mem = g["forget"] * mem + g["write"] * g["cand"]
        new = g["read"] * np.tanh(mem)
        z = q["W_ya"] @ new + q["b_y"]
        z = z - z.max(0)
        logp = z - np.log(np.exp(z).sum(0))
        p = np.exp(logp)
        loss -= (y * logp).sum() / m
        tape.append((x, y, h, old, mem, new, g, p))
        h = new
    return loss, tape


def lstm_backward(params, tape):
    grads = {"d" + name: np.zeros_like(w) for name, w in params.items()}
    m = tape[0][1].shape[1]
    dh, dmem, dxs = 0.0, 0.0, []
    while tape:
        x, y, h, old, mem, new, g, p = tape.pop()
        dz = (p - y) / m
        grads["dW_ya"] += dz @ new.T
        grads["db_y"] += dz.sum(1, keepdims=True)
        d = params["W_ya"].T @ dz + dh
        th = np.tanh(mem)
        dmem = dmem + d * g["read"] * (1 - th * th)
        dpre = {
            "f": dmem * old * g["forget"] * (1 - g["forget"]),
            "i": dmem * g["cand"] * g["write"] * (1 - g["write"]),
            "c": dmem * g["write"] * (1 - g["cand"] ** 2),
            "o": d * th * g["read"] * (1 - g["read"]),
        }
        for s, v in dpre.items():
            grads["dW_" + s + "a"] += v @ h.T
            grads["dW_" + s + "x"] += v @ x.T
            grads["db_" + s] += v.sum(1, keepdims=True)
        dh = sum(params[f"W_{s}a"].T @ v for s, v in dpre.items())
        dxs.insert(0, sum(params[f"W_{s}x"].T @ v for s, v in dpre.items()))
        dmem = dmem * g["forget"]
    grads["dX"] = np.stack(dxs, axis=2)
    grads["da0"] = dh
    return grads
