# ruff: noqa
import numpy as np

P = {
    k: np.random.randn(*s)
    for k, s in dict(
        Wz=(6, 4),
        Wr=(6, 4),
        Wh=(6, 4),
        Uz=(6, 6),
        Ur=(6, 6),
        Uh=(6, 6),
        bz=(6, 1),
        br=(6, 1),
        bh=(6, 1),
        V=(3, 6),
        by=(3, 1),
    ).items()
}


def sig(x):
    return 1 / (1 + np.exp(-x))


def forward(xs, targets, h0):
    h, tape, loss = h0, [], 0
    for x, y in zip(xs, targets):
        z = sig(P["Wz"] @ x + P["Uz"] @ h + P["bz"])
        r = sig(P["Wr"] @ x + P["Ur"] @ h + P["br"])
        g = np.tanh(P["Wh"] @ x + P["Uh"] @ (r * h) + P["bh"])
        h_new = z * g + (1 - z) * h
        o = P["V"] @ h_new + P["by"]
        e = np.exp(o - o.max(0))
        p = e / e.sum(0)
        loss += -np.sum(y * np.log(p)) / y.shape[1]
        tape.append((x, y, h, z, r, g, h_new, p))
        h = h_new
    return loss, tape


def backward(tape):
    G = {k: np.zeros_like(v) for k, v in P.items()}
    dh = 0
    for x, y, h, z, r, g, h_new, p in reversed(tape):
        do = (p - y) / y.shape[1]
        G["V"] += do @ h_new.T
        G["by"] += do.sum(1, keepdims=True)
        dh = dh + P["V"].T @ do
        dz = dh * (g - h) * z * (1 - z)
        dg = dh * z * (1 - g**2)
        drh = P["Uh"].T @ dg
        dr = drh * h * r * (1 - r)
        for k, d, s in (("z", dz, h), ("r", dr, h), ("h", dg, r * h)):
            G["W" + k] += d @ x.T
            G["U" + k] += d @ s.T
            G["b" + k] += d.sum(1, keepdims=True)
        dh = dh * (1 - z) + drh * r + P["Uz"].T @ dz + P["Ur"].T @ dr
    return G, dh
