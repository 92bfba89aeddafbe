# ruff: noqa
import numpy as np


def sigm(v):
    return 1 / (1 + np.exp(-v))


def gru_loss(theta, X, labels, h0):
    """
    GRU with softmax output, forward and backward in one go.

    theta   dict: Wz, Wr, Wn (D, H); Uz, Ur, Un (H, H); bz, br, bn, cn (H,); Wo (H, K), bo (K,)
    X       (N, T, D)
    labels  (N, T) integers
    h0      (N, H)

        z = sigm(x Wz + h Uz + bz)
        r = sigm(x Wr + h Ur + br)
        n = tanh(x Wn + bn + r * (h Un + cn))
        h' = z * h + (1 - z) * n

    Returns (loss, grads, dh0). The loss is summed over time and averaged over the N examples.
    """
    N, T, D = X.shape
    rows = np.arange(N)
    th = theta

    hs, zs, rs, ns, qs, probs = [h0], [], [], [], [], []
    loss = 0.0
    for t in range(T):
        x, h = X[:, t], hs[-1]
        z = sigm(x @ th["Wz"] + h @ th["Uz"] + th["bz"])
        r = sigm(x @ th["Wr"] + h @ th["Ur"] + th["br"])
        q = h @ th["Un"] + th["cn"]
        n = np.tanh(x @ th["Wn"] + th["bn"] + r * q)
        h_new = z * h + (1 - z) * n
        logits = h_new @ th["Wo"] + th["bo"]
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss -= log_p[rows, labels[:, t]].sum() / N
        for store, value in (
            (hs, h_new),
            (zs, z),
            (rs, r),
            (ns, n),
            (qs, q),
            (probs, np.exp(log_p)),
        ):
            store.append(value)

    g = {k: np.zeros_like(v) for k, v in th.items()}
    dh = np.zeros_like(h0)
    for t in range(T)[::-1]:
        x, h, z, r, n, q = X[:, t], hs[t], zs[t], rs[t], ns[t], qs[t]
        dlogits = probs[t]
        dlogits[rows, labels[:, t]] -= 1
        dlogits /= N
        g["Wo"] += hs[t + 1].T @ dlogits
        g["bo"] += dlogits.sum(0)
        dh = dh + dlogits @ th["Wo"].T

        dn = dh * (1 - z) * (1 - n**2)
        dz = dh * (h - n) * z * (1 - z)
        dq = dn * r
        dr = dn * q * r * (1 - r)

        g["Wn"] += x.T @ dn
        g["bn"] += dn.sum(0)
        g["Un"] += h.T @ dq
        g["cn"] += dq.sum(0)
        g["Wz"] += x.T @ dz
        g["Uz"] += h.T @ dz
        g["bz"] += dz.sum(0)
        g["Wr"] += x.T @ dr
        g["Ur"] += h.T @ dr
        g["br"] += dr.sum(0)

        dh = dh * z + dq @ th["Un"].T + dz @ th["Uz"].T + dr @ th["Ur"].T
    return loss, g, dh
