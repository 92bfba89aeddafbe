# ruff: noqa
import numpy as np


def rnn_forward(X, Y, a0, parameters):
    U, W, V, b, c = (parameters[k] for k in ("U", "W", "V", "b", "c"))
    columns = X.shape[1]
    kept, cost, now = [a0], 0.0, a0
    scores = np.zeros((X.shape[2], len(V), columns))
    for k, x in enumerate(np.moveaxis(X, -1, 0)):
        now = np.tanh(np.matmul(W, now) + np.matmul(U, x) + b)
        scores[k] = np.matmul(V, now) + c
        shifted = scores[k] - scores[k].max(axis=0)
        cost -= np.sum(Y[..., k] * (shifted - np.log(np.exp(shifted).sum(axis=0))))
        kept.append(now)
    return cost / columns, {"kept": kept, "scores": scores}


def rnn_backward(X, Y, parameters, cache):
    U, W, V = parameters["U"], parameters["W"], parameters["V"]
    kept, scores = cache["kept"], cache["scores"]
    gU, gW, gV, gb, gc = 0, 0, 0, 0, 0
    gX = np.zeros_like(X)
    later = np.zeros_like(kept[0])
    k = len(scores)
    while k > 0:
        k -= 1
        e = np.exp(scores[k] - scores[k].max(axis=0))
        gz = (e / e.sum(axis=0) - Y[..., k]) / X.shape[1]
        gV, gc = gV + gz @ kept[k + 1].T, gc + gz.sum(axis=1, keepdims=True)
        g = (V.T @ gz + later) * (1 - kept[k + 1] ** 2)
        gU, gW, gb = gU + g @ X[..., k].T, gW + g @ kept[k].T, gb + g.sum(axis=1, keepdims=True)
        gX[..., k] = U.T @ g
        later = W.T @ g
    return {"dU": gU, "dW": gW, "dV": gV, "db": gb, "dc": gc, "dX": gX, "da0": later}
