# ruff: noqa
import numpy as np


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def lstm_forward(xs, h, c, p):
    """xs (T, N, D); i, f, o share W_ifo (D, 3H), U_ifo, b_ifo; the candidate has its own."""
    H = h.shape[1]
    tape, hs = [], []
    for x in xs:
        gates = sigmoid(x @ p["W_ifo"] + h @ p["U_ifo"] + p["b_ifo"])
        i, f, o = gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H :]
        g = np.tanh(x @ p["W_g"] + h @ p["U_g"] + p["b_g"])
        c_old, h_old = c, h
        c = f * c_old + i * g
        h = o * np.tanh(c)
        tape.append((x, h_old, c_old, i, f, o, g, c))
        hs.append(h)
    return np.array(hs), tape


def lstm_backward(dhs, p, tape):
    grads = {name: np.zeros_like(w) for name, w in p.items()}
    dxs = []
    dh, dc = np.zeros_like(dhs[0]), np.zeros_like(dhs[0])
    for t in reversed(range(len(tape))):
        x, h_old, c_old, i, f, o, g, c = tape[t]
        dh = dh + dhs[t]
        tc = np.tanh(c)
        dc = dc + dh * o * (1 - tc**2)
        da = np.concatenate(
            [dc * g * i * (1 - i), dc * c_old * f * (1 - f), dh * tc * o * (1 - o)], axis=1
        )
        dg = dc * i * (1 - g**2)
        grads["W_ifo"] += x.T @ da
        grads["U_ifo"] += h_old.T @ da
        grads["b_ifo"] += da.sum(axis=0)
        grads["W_g"] += x.T @ dg
        grads["U_g"] += h_old.T @ dg
        grads["b_g"] += dg.sum(axis=0)
        dxs.insert(0, da @ p["W_ifo"].T + dg @ p["W_g"].T)
        dh = da @ p["U_ifo"].T + dg @ p["U_g"].T
        dc = dc * f
    return np.array(dxs), dh, dc, grads
