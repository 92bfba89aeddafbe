# ruff: noqa
import numpy as np
import matplotlib.pyplot as plt


def make_batch(rng, N, T):
    """noisy sine in, the same sine one step ahead out. Both (N, T, 1)"""
    phase = rng.uniform(0, 2 * np.pi, (N, 1))
    k = np.arange(T + 1)
    wave = np.sin(0.3 * k[None, :] + phase)
    x = wave[:, :-1] + 0.05 * rng.normal(size=(N, T))
    return x[:, :, None], wave[:, 1:, None]


def init_params(rng, D, H, K):
    return {
        "Wx": rng.normal(size=(D, H)) / np.sqrt(D),
        "Wh": rng.normal(size=(H, H)) / np.sqrt(H),
        "bh": np.zeros(H),
        "Wy": rng.normal(size=(H, K)) / np.sqrt(H),
        "by": np.zeros(K),
    }


def forward(params, x):
    N, T, D = x.shape
    H = params["bh"].size
    h = np.zeros((N, T + 1, H))  # h[:, 0] is the start state, h[:, t + 1] the state after step t
    for t in range(T):
        h[:, t + 1] = np.tanh(x[:, t] @ params["Wx"] + h[:, t] @ params["Wh"] + params["bh"])
    y_hat = np.einsum("nth,hk->ntk", h[:, 1:], params["Wy"]) + params["by"]
    return y_hat, h


def mse(y_hat, y):
    N, T, K = y.shape
    return 0.5 * np.sum((y_hat - y) ** 2) / (N * T)


def backward(params, x, y, y_hat, h):
    N, T, K = y.shape
    H = params["bh"].size
    dy = (y_hat - y) / (N * T)
    dz = np.zeros((N, T, H))
    dh_next = np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        dh = dy[:, t] @ params["Wy"].T + dh_next
        dz[:, t] = dh * (1 - h[:, t + 1] ** 2)
        dh_next = dz[:, t] @ params["Wh"].T
    grads = {}
    grads["Wy"] = np.einsum("nth,ntk->hk", h[:, 1:], dy)
    grads["by"] = np.einsum("ntk->k", dy)
    grads["Wx"] = np.einsum("ntd,nth->dh", x, dz)
    grads["Wh"] = np.einsum("ntg,nth->gh", h[:, :-1], dz)
    grads["bh"] = np.einsum("nth->h", dz)
    return grads


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    params = init_params(rng, 1, 24, 1)
    lr, beta = 0.05, 0.9
    velocity = {k: np.zeros_like(v) for k, v in params.items()}
    curve = []
    for step in range(3000):
        x, y = make_batch(rng, 32, 40)
        y_hat, h = forward(params, x)
        curve.append(mse(y_hat, y))
        grads = backward(params, x, y, y_hat, h)
        norm = np.sqrt(sum(np.sum(g**2) for g in grads.values()))
        for k in params:
            velocity[k] = beta * velocity[k] - lr * grads[k] * min(1.0, 1.0 / (norm + 1e-8))
            params[k] += velocity[k]
        if step % 200 == 0:
            print(step, curve[-1])
    plt.semilogy(curve)
    plt.xlabel("step")
    plt.ylabel("mse")
    plt.show()
