# ruff: noqa
import numpy as np

np.random.seed(7)

# echo task: the class at a step is the one that came in one step before
classes, hidden, batch, steps = 4, 9, 5, 6
seq = np.random.randint(classes, size=(batch, steps + 1))
X = np.stack(
    [np.eye(classes)[seq[:, k + 1]].T for k in range(steps)], axis=2
)  # (classes, batch, steps)
Y = np.stack([np.eye(classes)[seq[:, k]].T for k in range(steps)], axis=2)

W_in = np.random.uniform(-0.4, 0.4, (hidden, classes))
W_rec = np.random.uniform(-0.4, 0.4, (hidden, hidden))
W_out = np.random.uniform(-0.4, 0.4, (classes, hidden))
b_h = np.zeros((hidden, 1))
b_o = np.zeros((classes, 1))
h_start = np.zeros((hidden, batch))


def forward():
    H, P, Z = [h_start], [], []
    for k in range(steps):
        pre = W_rec @ H[-1] + W_in @ X[:, :, k] + b_h
        H.append(np.tanh(pre))
        logit = W_out @ H[-1] + b_o
        e = np.exp(logit - logit.max(axis=0, keepdims=True))
        P.append(e / e.sum(axis=0, keepdims=True))
        Z.append(logit)
    return H, P, Z


def cross_entropy(Z):
    total = 0.0
    for k in range(steps):
        top = Z[k].max(axis=0)
        total += np.sum(Y[:, :, k] * (top + np.log(np.exp(Z[k] - top).sum(axis=0)) - Z[k]))
    return total / batch


def backward(H, P):
    dW_in, dW_rec, dW_out = 0 * W_in, 0 * W_rec, 0 * W_out
    db_h, db_o = 0 * b_h, 0 * b_o
    back = 0 * h_start
    for k in range(steps)[::-1]:
        d_logit = (P[k] - Y[:, :, k]) / batch
        dW_out += d_logit @ H[k + 1].T
        db_o += d_logit.sum(axis=1)[:, None]
        d_h = W_out.T @ d_logit + back
        d_pre = d_h - d_h * H[k + 1] * H[k + 1]
        dW_in += d_pre @ X[:, :, k].T
        dW_rec += d_pre @ H[k].T
        db_h += d_pre.sum(axis=1)[:, None]
        back = W_rec.T @ d_pre
    return dW_in, dW_rec, dW_out, db_h, db_o


rate = 0.3
for it in range(400):
    H, P, Z = forward()
    if it % 100 == 0:
        print(it, cross_entropy(Z))
    dW_in, dW_rec, dW_out, db_h, db_o = backward(H, P)
    W_in -= rate * dW_in
    W_rec -= rate * dW_rec
    W_out -= rate * dW_out
    b_h -= rate * db_h
    b_o -= rate * db_o

print("after training", cross_entropy(forward()[2]))
