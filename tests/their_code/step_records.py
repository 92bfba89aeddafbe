# ruff: noqa
import numpy as np


def logistic(x):
    return 1 / (1 + np.exp(-x))


def gru_forward(X, Y, a0, parameters):
    p = parameters
    T = X.shape[-1]
    steps = [{"h": a0}]
    loss = 0
    for x, y in zip(np.rollaxis(X, 2), np.rollaxis(Y, 2)):
        s = dict(before=steps[-1]["h"], x=x)
        hx = np.concatenate((s["before"], x))
        s["u"] = logistic(p["Wu"] @ hx + p["bu"])
        s["r"] = logistic(p["Wr"] @ hx + p["br"])
        s["n"] = np.tanh(p["Wc"] @ np.concatenate((s["r"] * s["before"], x)) + p["bc"])
        s["h"] = s["u"] * s["n"] + (1 - s["u"]) * s["before"]
        z = p["Wy"] @ s["h"] + p["by"]
        logp = z - z.max(axis=0)
        logp = logp - np.log(np.exp(logp).sum(axis=0))
        s["y"] = np.exp(logp)
        loss += -np.sum(y * logp)
        steps.append(s)
    return loss / X.shape[1], steps


def gru_backward(X, Y, parameters, steps):
    p, m = parameters, X.shape[1]
    g = {key: 0 * value for key, value in p.items()}
    n = p["bu"].size
    dX, back = [], 0
    for s, y in zip(steps[:0:-1], np.rollaxis(Y, 2)[::-1]):
        dz = (s["y"] - y) / m
        g["Wy"] = g["Wy"] + dz @ s["h"].T
        g["by"] = g["by"] + dz.sum(axis=1)[:, None]
        dh = p["Wy"].T @ dz + back
        du = dh * (s["n"] - s["before"]) * s["u"] * (1 - s["u"])
        dn = dh * s["u"] * (1 - s["n"] ** 2)
        through = p["Wc"].T @ dn
        dr = through[:n] * s["before"] * s["r"] * (1 - s["r"])
        hx = np.concatenate((s["before"], s["x"]))
        for name, d in (("u", du), ("r", dr)):
            g["W" + name] = g["W" + name] + d @ hx.T
            g["b" + name] = g["b" + name] + d.sum(axis=1)[:, None]
        g["Wc"] = g["Wc"] + dn @ np.concatenate((s["r"] * s["before"], s["x"])).T
        g["bc"] = g["bc"] + dn.sum(axis=1)[:, None]
        both = p["Wu"].T @ du + p["Wr"].T @ dr
        back = dh * (1 - s["u"]) + through[:n] * s["r"] + both[:n]
        dX.append(through[n:] + both[n:])
    out = {"d" + key: value for key, value in g.items()}
    out["dX"] = np.moveaxis(np.array(dX[::-1]), 0, -1)
    out["da0"] = back
    return out
