# ruff: noqa
import numpy as np

text = open("words.txt").read()
symbols = sorted(set(text))
D = len(symbols)
H = 40
Wxh, Whh, Why = (
    np.random.randn(H, D) * 0.01,
    np.random.randn(H, H) * 0.01,
    np.random.randn(D, H) * 0.01,
)
bh, by = np.zeros((H, 1)), np.zeros((D, 1))


def run_window(xs, ys, before):
    hs, ps, loss = [before], [], 0.0
    for k, label in zip(xs, ys):
        hs.append(np.tanh(Wxh[:, [k]] + Whh @ hs[-1] + bh))
        z = Why @ hs[-1] + by
        z = z - np.max(z)
        total = np.log(np.sum(np.exp(z)))
        ps.append(np.exp(z - total))
        loss -= z[label, 0] - total
    dWxh, dWhh, dWhy = map(np.zeros_like, (Wxh, Whh, Why))
    dbh, dby = np.zeros_like(bh), np.zeros_like(by)
    carry = np.zeros_like(before)
    for k, label, h, h_old, p in reversed(list(zip(xs, ys, hs[1:], hs[:-1], ps))):
        dz = p.copy()
        dz[label] -= 1
        dWhy += dz @ h.T
        dby += dz
        da = (Why.T @ dz + carry) * (1 - h * h)
        dWxh[:, [k]] += da
        dWhh += da @ h_old.T
        dbh += da
        carry = Whh.T @ da
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[-1]


state = np.zeros((H, 1))
for step in range(1000):
    i = (step * 25) % (len(text) - 26)
    ix = [symbols.index(c) for c in text[i : i + 26]]
    loss, *grads, state = run_window(ix[:-1], ix[1:], state)
    for W, dW in zip((Wxh, Whh, Why, bh, by), grads):
        W -= 0.1 * dW
