# ruff: noqa
import numpy as np


def rnn_forward(params, X, targets, seq_lens, mask):
    P = params
    hs = {-1: np.zeros((X.shape[0], P["Whh"].shape[0]))}
    N, T = X.shape[:2]
    assert np.array_equal(mask.sum(axis=1), seq_lens)
    logp = {}
    for t in range(T):
        hs[t] = np.tanh(X[:, t] @ P.get("Wxh") + hs[t - 1] @ P.get("Whh") + P["bh"])
        z = hs[t] @ P["Why"] + P["by"]
        z = z - z.max(axis=1, keepdims=True)
        logp[t] = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    picked = [logp[t][np.arange(N), targets[:, t]] * mask[:, t] for t in range(T)]
    return -np.sum(picked) / N, (X, targets, mask, hs, logp)


def rnn_backward(params, cache):
    X, targets, mask, hs, logp = cache
    grads = {name: np.zeros_like(W) for name, W in params.items()}
    dh = 0
    for t in sorted(logp, reverse=True):
        dz = np.exp(logp[t])
        dz[np.arange(len(dz)), targets[:, t]] -= 1
        dz *= mask[:, t, None] / len(dz)
        grads["Why"] += hs[t].T @ dz
        grads["by"] += dz.sum(axis=0)
        da = (dz @ params["Why"].T + dh) * (1 - hs[t] ** 2)
        grads["Wxh"] += X[:, t].T @ da
        grads["Whh"] += hs[t - 1].T @ da
        grads["bh"] += da.sum(axis=0)
        dh = da @ params["Whh"].T
    return grads
