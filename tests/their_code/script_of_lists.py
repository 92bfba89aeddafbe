# ruff: noqa
import numpy as np

rng = np.random.RandomState(4)
n_samples, n_steps, n_symbols, n_hidden = 7, 6, 4, 5
seen = rng.randint(n_symbols, size=(n_samples, n_steps))
wanted = np.roll(seen, 2, axis=1)
x_data = np.eye(n_symbols)[seen]
y_data = np.eye(n_symbols)[wanted]

U = rng.uniform(-0.4, 0.4, (n_symbols, n_hidden))
W = rng.uniform(-0.4, 0.4, (n_hidden, n_hidden))
V = rng.uniform(-0.4, 0.4, (n_hidden, n_symbols))
b = np.zeros((1, n_hidden))
c = np.zeros((1, n_symbols))

for epoch in range(200):
    s = np.zeros((n_steps + 1, n_samples, n_hidden))
    probs = np.zeros((n_steps, n_samples, n_symbols))
    loss = 0.0
    for t in range(n_steps):
        s[t + 1] = np.tanh(x_data[:, t] @ U + s[t] @ W + b)
        logits = s[t + 1] @ V + c
        logits = logits - logits.max(axis=1, keepdims=True)
        total = np.exp(logits).sum(axis=1, keepdims=True)
        probs[t] = np.exp(logits) / total
        loss -= np.sum(y_data[:, t] * (logits - np.log(total))) / n_samples

    dU, dW, dV, db, dc = map(np.zeros_like, (U, W, V, b, c))
    ds_next = np.zeros((n_samples, n_hidden))
    for t in range(n_steps - 1, -1, -1):
        dlogits = (probs[t] - y_data[:, t]) / n_samples
        dV += s[t + 1].T @ dlogits
        dc += dlogits.sum(axis=0, keepdims=True)
        ds = dlogits @ V.T + ds_next
        dpre = ds * (1 - s[t + 1] ** 2)
        dU += x_data[:, t].T @ dpre
        dW += s[t].T @ dpre
        db += dpre.sum(axis=0, keepdims=True)
        ds_next = dpre @ W.T

    U -= 0.1 * dU
    W -= 0.1 * dW
    V -= 0.1 * dV
    b -= 0.1 * db
    c -= 0.1 * dc
