# ruff: noqa
import numpy as np


def gru(x, targets, h0, W_x, W_h, b, W_y, b_y):
    T, N, D = x.shape
    H = h0.shape[1]
    h, kept, loss = h0, [], 0.0
    for t in range(T):
        px, ph = x[t] @ W_x + b, h @ W_h[:, : 2 * H]
        gates = 1 / (1 + np.exp(-(px[:, : 2 * H] + ph)))
        r, z = gates[:, :H], gates[:, H:]
        n = np.tanh(px[:, 2 * H :] + (r * h) @ W_h[:, 2 * H :])
        h_new = z * n + (1 - z) * h
        scores = h_new @ W_y + b_y
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        loss -= np.log(p[np.arange(N), targets[t]]).mean()
        kept.append((h, r, z, n, h_new, p))
        h = h_new
    dW_x, dW_h, db = np.zeros_like(W_x), np.zeros_like(W_h), np.zeros_like(b)
    dW_y, db_y, carry = np.zeros_like(W_y), np.zeros_like(b_y), np.zeros_like(h0)
    for t in range(T - 1, -1, -1):
        h, r, z, n, h_new, p = kept[t]
        d = p.copy()
        d[np.arange(N), targets[t]] -= 1
        d /= N
        dW_y += h_new.T @ d
        db_y += d.sum(axis=0)
        dh = d @ W_y.T + carry
        dn = dh * z * (1 - n**2)
        drh = dn @ W_h[:, 2 * H :].T
        both = np.hstack([drh * h * r * (1 - r), dh * (n - h) * z * (1 - z)])
        every = np.hstack([both, dn])
        dW_x += x[t].T @ every
        db += every.sum(axis=0)
        dW_h[:, : 2 * H] += h.T @ both
        dW_h[:, 2 * H :] += (r * h).T @ dn
        carry = dh * (1 - z) + drh * r + both @ W_h[:, : 2 * H].T
    return loss, {"W_x": dW_x, "W_h": dW_h, "b": db, "W_y": dW_y, "b_y": db_y, "h0": carry}
