# ruff: noqa
import numpy as np

np.random.seed(0)
batch, steps, features, units, classes = 5, 7, 2, 10, 1
u = np.random.randn(batch, steps, features)
v = np.sin(np.cumsum(u[:, :, 0], axis=1))

Wi = np.random.randn(features, units) * 0.2
Wr = np.random.randn(units, units) * 0.2
Wo = np.random.randn(units, classes) * 0.2
bi = np.zeros(units)
bo = np.zeros(classes)
size = batch * steps

for it in range(100):
    s = np.zeros((batch, units))
    S, O = [s], []
    for t in range(steps):
        s = np.tanh(u[:, t, :].dot(Wi) + s.dot(Wr) + bi)
        S.append(s)
        O.append(s.dot(Wo)[:, 0] + bo[0])
    out = np.stack(O, axis=1)
    err = out - v
    loss = np.sum(err**2) / (2 * batch)
    gWi, gWr, gWo, gbi, gbo = (np.zeros_like(p) for p in (Wi, Wr, Wo, bi, bo))
    ds = np.zeros((batch, units))
    for t in range(steps - 1, -1, -1):
        e = err[:, t : t + 1] / batch
        gWo += S[t + 1].T.dot(e)
        gbo += e.sum(axis=0)
        da = (ds + e.dot(Wo.T)) * (1 - S[t + 1] ** 2)
        gWi += u[:, t, :].T.dot(da)
        gWr += S[t].T.dot(da)
        gbi += da.sum(axis=0)
        ds = da.dot(Wr.T)
    for p, g in zip((Wi, Wr, Wo, bi, bo), (gWi, gWr, gWo, gbi, gbo)):
        p -= 0.05 * g
