# ruff: noqa
import numpy as np
from dataclasses import dataclass, fields


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


@dataclass
class LSTMWeights:
    hidden_size: int
    Wf: np.ndarray
    Wi: np.ndarray
    Wc: np.ndarray
    Wo: np.ndarray
    bf: np.ndarray
    bi: np.ndarray
    bc: np.ndarray
    bo: np.ndarray
    name: str = "lstm"

    def zero_grads(self):
        return LSTMWeights(
            self.hidden_size,
            *(np.zeros_like(getattr(self, f.name)) for f in fields(self) if f.name[0] in "Wb"),
        )


@dataclass
class Cache:
    z: np.ndarray
    c_prev: np.ndarray
    f: np.ndarray
    i: np.ndarray
    g: np.ndarray
    o: np.ndarray
    c: np.ndarray


def lstm_forward(w, xs, h, c):
    """xs list of (D, N)"""
    caches, hs = [], []
    for x in xs:
        z = np.vstack([h, x])
        f, i, o = (sigmoid(W @ z + b) for W, b in ((w.Wf, w.bf), (w.Wi, w.bi), (w.Wo, w.bo)))
        g = np.tanh(w.Wc @ z + w.bc)
        c_prev, c = c, f * c + i * g
        h = o * np.tanh(c)
        caches.append(Cache(z, c_prev, f, i, g, o, c))
        hs.append(h)
    return hs, caches


def lstm_backward(w, dhs, caches):
    g = w.zero_grads()
    H = w.hidden_size
    dh_next = np.zeros_like(dhs[0])
    dc_next = np.zeros_like(dhs[0])
    dxs = []
    for dh, k in zip(reversed(dhs), reversed(caches)):
        dh = dh + dh_next
        tc = np.tanh(k.c)
        dc = dc_next + dh * k.o * (1 - tc * tc)
        do = dh * tc * k.o * (1 - k.o)
        df = dc * k.c_prev * k.f * (1 - k.f)
        di = dc * k.g * k.i * (1 - k.i)
        dg = dc * k.i * (1 - k.g**2)
        dz = np.zeros_like(k.z)
        for n, d in (("f", df), ("i", di), ("c", dg), ("o", do)):
            setattr(g, "W" + n, getattr(g, "W" + n) + d @ k.z.T)
            setattr(g, "b" + n, getattr(g, "b" + n) + d.sum(axis=1, keepdims=True))
            dz += getattr(w, "W" + n).T @ d
        dh_next, dx = dz[:H], dz[H:]
        dc_next = dc * k.f
        dxs.append(dx)
    return g, dxs[::-1], dh_next, dc_next
