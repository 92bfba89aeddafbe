# ruff: noqa
import numpy as np


def loss_and_grads(W, xs, ys):
    """xs (T, B, I) ; ys (T, B) ints"""
    T, B = ys.shape
    a = np.zeros((T + 1, B, W["Whh"].shape[0]))
    for t in range(T):
        pre = (
            np.einsum("bi,ji->bj", xs[t], W["Wxh"])
            + np.einsum("bk,jk->bj", a[t], W["Whh"])
            + W["bh"]
        )
        a[t + 1] = np.tanh(pre)
    logits = np.einsum("tbj,oj->tbo", a[1:], W["Why"]) + W["by"]
    logits -= np.max(logits, axis=2, keepdims=True)
    logp = logits - np.log(np.sum(np.exp(logits), axis=2, keepdims=True))
    loss = -np.sum(np.take_along_axis(logp, ys[:, :, np.newaxis], 2)) / B
    d = np.exp(logp)
    np.put_along_axis(d, ys[:, :, None], np.take_along_axis(d, ys[:, :, None], 2) - 1, 2)
    d /= B
    g = {"Why": np.einsum("tbo,tbj->oj", d, a[1:]), "by": np.einsum("tbo->o", d)}
    dz = np.zeros_like(a[1:])
    da = np.zeros_like(a[0])
    for t in reversed(range(T)):
        da = da + np.einsum("bo,oj->bj", d[t], W["Why"])
        dz[t] = da * (1 - a[t + 1] ** 2)
        da = np.einsum("bj,jk->bk", dz[t], W["Whh"])
    g["Whh"] = np.einsum("tbj,tbk->jk", dz, a[:-1])
    g["Wxh"] = np.einsum("tbj,tbi->ji", dz, xs)
    g["bh"] = dz.sum((0, 1))
    return loss, g
