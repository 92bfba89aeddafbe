# ruff: noqa
import numpy as np


def rnn_fwd(by, Wy, h0, b, xs, Wh, Wx):
    B, T, D = xs.shape
    hs = np.zeros((B, T, Wh.shape[0]))
    h = h0
    for t in range(T):
        h = np.tanh(xs[:, t] @ Wx + h @ Wh + b)
        hs[:, t] = h
    logits = hs @ Wy + by
    return logits, hs


def loss_fn(logits, targets):
    z = logits - logits.max(axis=2, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
    B, T, C = logits.shape
    loss = -logp[np.arange(B)[:, None], np.arange(T)[None], targets].sum() / B
    dlogits = np.exp(logp)
    dlogits[np.arange(B)[:, None], np.arange(T)[None], targets] -= 1
    return loss, dlogits / B


def rnn_bwd(dlogits, hs, xs, h0, Wx, Wh, Wy):
    B, T, D = xs.shape
    dWy = np.einsum("bth,bty->hy", hs, dlogits)
    dby = dlogits.sum(axis=(0, 1))
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dh_next = np.zeros_like(h0)
    for t in range(T - 1, -1, -1):
        dh = dlogits[:, t] @ Wy.T + dh_next
        dz = dh * (1 - hs[:, t] ** 2)
        prev = hs[:, t - 1] if t else h0
        dWx += xs[:, t].T @ dz
        dWh += prev.T @ dz
        db += dz.sum(axis=0)
        dh_next = dz @ Wh.T
    return dWy, dby, dWx, dWh, db, dh_next
