# ruff: noqa
import numpy as np

np.random.seed(0)
n_x, n_h, n_y, T = 2, 8, 2, 5
X = np.random.randn(T, n_x, 1)
Y = np.random.randn(T, n_y, 1)
Wx = np.random.randn(n_h, n_x)
Wh = np.random.randn(n_h, n_h)
Wy = np.random.randn(n_y, n_h)
bh = np.zeros((n_h, 1))
by = np.zeros((n_y, 1))
lr = 0.1
for epoch in range(100):
    h = {-1: np.zeros((n_h, 1))}
    p = {}
    loss = 0
    for t in range(T):
        h[t] = np.tanh(Wx @ X[t] + Wh @ h[t - 1] + bh)
        y = Wy @ h[t] + by
        p[t] = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
        loss -= np.sum(Y[t] * np.log(p[t]))
    dWx, dWh, dWy = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy)
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    dhnext = np.zeros((n_h, 1))
    for t in reversed(range(T)):
        dy = p[t] - Y[t]
        dWy += dy @ h[t].T
        dby += dy
        dh = Wy.T @ dy + dhnext
        dz = dh * (1 - h[t] ** 2)
        dWx += dz @ X[t].T
        dWh += dz @ h[t - 1].T
        dbh += dz
        dhnext = Wh.T @ dz
    Wx -= lr * dWx
    Wh -= lr * dWh
    Wy -= lr * dWy
    bh -= lr * dbh
    by -= lr * dby
    print(epoch, loss)
