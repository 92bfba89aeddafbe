# ruff: noqa
import numpy as np

# LSTM tagger with numpy, one function for the loss and all gradients
# xs: list of T arrays (n_in, m), ys: list of T one-hot arrays (n_out, m)


def sigm(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigm_der(s):
    return s * (1.0 - s)


def tanh_der(a):
    return 1.0 - np.square(a)


def init_weights(n_in, n_hid, n_out, scale=0.1):
    p = {}
    for g in ["f", "i", "o", "c"]:
        p["W" + g] = scale * np.random.randn(n_hid, n_in)
        p["U" + g] = scale * np.random.randn(n_hid, n_hid)
        p["b" + g] = np.zeros((n_hid, 1))
    p["V"] = scale * np.random.randn(n_out, n_hid)
    p["bV"] = np.zeros((n_out, 1))
    return p


def lstm_loss(p, xs, ys, h0, c0):
    T = len(xs)
    m = xs[0].shape[1]
    F, I, O, G = [], [], [], []
    C, H, P = [c0], [h0], []
    loss = 0.0
    # ---------- forward ----------
    for x, y in zip(xs, ys):
        h, c = H[-1], C[-1]
        F.append(sigm(p["Wf"].dot(x) + p["Uf"].dot(h) + p["bf"]))
        I.append(sigm(p["Wi"].dot(x) + p["Ui"].dot(h) + p["bi"]))
        O.append(sigm(p["Wo"].dot(x) + p["Uo"].dot(h) + p["bo"]))
        G.append(np.tanh(p["Wc"].dot(x) + p["Uc"].dot(h) + p["bc"]))
        C.append(F[-1] * c + I[-1] * G[-1])
        H.append(O[-1] * np.tanh(C[-1]))
        scores = p["V"].dot(H[-1]) + p["bV"]
        scores = scores - scores.max(axis=0)
        logp = scores - np.log(np.exp(scores).sum(axis=0))
        P.append(np.exp(logp))
        loss -= (y * logp).sum() / m

    # ---------- backward ----------
    d = {k: np.zeros_like(v) for k, v in p.items()}
    dxs = [None] * T
    dh_next = np.zeros_like(h0)
    dc_next = np.zeros_like(c0)
    t = T - 1
    while t >= 0:
        x, h_old, c_old = xs[t], H[t], C[t]
        h_new, c_new = H[t + 1], C[t + 1]
        dscore = (P[t] - ys[t]) / m
        d["V"] += dscore.dot(h_new.T)
        d["bV"] += dscore.sum(axis=1, keepdims=True)
        dh = p["V"].T.dot(dscore) + dh_next
        tc = np.tanh(c_new)
        dc = dh * O[t] * tanh_der(tc) + dc_next
        delta = {}
        delta["f"] = dc * c_old * sigm_der(F[t])
        delta["i"] = dc * G[t] * sigm_der(I[t])
        delta["o"] = dh * tc * sigm_der(O[t])
        delta["c"] = dc * I[t] * tanh_der(G[t])
        dh_next = np.zeros_like(h0)
        dxs[t] = np.zeros_like(x)
        for g in delta:
            d["W" + g] += delta[g].dot(x.T)
            d["U" + g] += delta[g].dot(h_old.T)
            d["b" + g] += delta[g].sum(axis=1, keepdims=True)
            dh_next += p["U" + g].T.dot(delta[g])
            dxs[t] += p["W" + g].T.dot(delta[g])
        dc_next = dc * F[t]
        t -= 1
    return loss, d, dxs, dh_next, dc_next, H[-1], C[-1]


def main():
    np.random.seed(7)
    n_in, n_hid, n_out, m, T = 5, 20, 3, 16, 12
    p = init_weights(n_in, n_hid, n_out)
    memory = {k: np.zeros_like(v) for k, v in p.items()}
    for it in range(500):
        ids = np.random.randint(n_in, size=(T, m))
        xs = [np.eye(n_in)[ids[t]].T for t in range(T)]
        # label: the sum so far, modulo 3
        ys = [np.eye(n_out)[ids[: t + 1].sum(axis=0) % n_out].T for t in range(T)]
        h0, c0 = np.zeros((n_hid, m)), np.zeros((n_hid, m))
        loss, d = lstm_loss(p, xs, ys, h0, c0)[:2]
        for k in p:
            memory[k] += d[k] ** 2
            p[k] -= 0.1 * d[k] / np.sqrt(memory[k] + 1e-8)
        if it % 50 == 0:
            print(it, loss)


if __name__ == "__main__":
    main()
