# ruff: noqa
from dataclasses import dataclass
import numpy as np


@dataclass
class Params:
    Wx: np.ndarray
    Wh: np.ndarray
    b: np.ndarray


@dataclass
class Cache:
    x: np.ndarray
    h_prev: np.ndarray
    h: np.ndarray


def step_forward(x, h_prev, p: Params):
    h = np.tanh(p.Wx @ x + p.Wh @ h_prev + p.b)
    return h, Cache(x, h_prev, h)


def step_backward(dh, cache, p: Params):
    dz = dh * (1 - cache.h**2)
    return (
        p.Wx.T @ dz,
        p.Wh.T @ dz,
        Params(dz @ cache.x.T, dz @ cache.h_prev.T, dz.sum(axis=1, keepdims=True)),
    )


def rnn_forward(xs, h0, p: Params):
    h, hs, caches = h0, [], []
    for x in xs:
        h, cache = step_forward(x, h, p)
        hs.append(h)
        caches.append(cache)
    return hs, caches


def rnn_backward(dhs, caches, p: Params):
    total = Params(np.zeros_like(p.Wx), np.zeros_like(p.Wh), np.zeros_like(p.b))
    dh_next = np.zeros_like(dhs[0])
    for t in reversed(range(len(dhs))):
        dx, dh_next, g = step_backward(dhs[t] + dh_next, caches[t], p)
        total.Wx += g.Wx
        total.Wh += g.Wh
        total.b += g.b
    return total, dh_next
