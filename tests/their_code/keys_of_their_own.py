# ruff: noqa
import numpy as np


def forward(params, x, h0):
    """x (N, T, D)"""
    N, T, _ = x.shape
    h, states = h0, []
    for t in range(T):
        h = np.tanh(x[:, t] @ params["embed2hid"] + h @ params["trans"] + params["shift"])
        states.append(h)
    H = np.stack(states, axis=1)
    return H, H @ params["readout"] + params["level"]


def loss_and_grads(params, x, labels, h0):
    H, scores = forward(params, x, h0)
    N, T, _ = scores.shape
    z = scores - scores.max(axis=2, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
    one_hot = np.eye(z.shape[2])[labels]
    loss = -(one_hot * logp).sum() / N
    dscores = (np.exp(logp) - one_hot) / N
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    grads["readout"] = np.tensordot(H, dscores, axes=([0, 1], [0, 1]))
    grads["level"] = dscores.sum(axis=(0, 1))
    dh = np.zeros_like(h0)
    for t in reversed(range(T)):
        prev = H[:, t - 1] if t else h0
        dz = (dscores[:, t] @ params["readout"].T + dh) * (1 - H[:, t] ** 2)
        grads["embed2hid"] += x[:, t].T @ dz
        grads["trans"] += prev.T @ dz
        grads["shift"] += dz.sum(axis=0)
        dh = dz @ params["trans"].T
    return loss, grads, dh
