# ruff: noqa
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class TorchGRU:
    def __init__(self, input_size, hidden_size):
        k = 1 / np.sqrt(hidden_size)
        self.hidden_size = hidden_size
        self.weight_ih = np.random.uniform(-k, k, (3 * hidden_size, input_size))
        self.weight_hh = np.random.uniform(-k, k, (3 * hidden_size, hidden_size))
        self.bias_ih = np.zeros(3 * hidden_size)
        self.bias_hh = np.zeros(3 * hidden_size)
        self.zero_grads()

    def zero_grads(self):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(self, "d_" + name, np.zeros_like(getattr(self, name)))

    def forward(self, x, h0):
        H = self.hidden_size
        self.kept, h, out = [], h0, []
        for t in range(x.shape[0]):
            a = x[t] @ self.weight_ih.T + self.bias_ih
            b = h @ self.weight_hh.T + self.bias_hh
            r = sigmoid(a[:, :H] + b[:, :H])
            z = sigmoid(a[:, H : 2 * H] + b[:, H : 2 * H])
            n = np.tanh(a[:, 2 * H :] + r * b[:, 2 * H :])
            self.kept.append((x[t], h, r, z, n, b[:, 2 * H :]))
            h = (1 - z) * n + z * h
            out.append(h)
        return np.stack(out), h

    def backward(self, dout):
        dh, dx = np.zeros_like(dout[0]), np.zeros((len(dout), *self.kept[0][0].shape))
        for t in reversed(range(len(dout))):
            x, h, r, z, n, inner = self.kept[t]
            dh = dh + dout[t]
            dn = dh * (1 - z) * (1 - n**2)
            dr = dn * inner * r * (1 - r)
            dz = dh * (h - n) * z * (1 - z)
            da = np.concatenate([dr, dz, dn], axis=1)
            db = np.concatenate([dr, dz, dn * r], axis=1)
            self.d_weight_ih += da.T @ x
            self.d_weight_hh += db.T @ h
            self.d_bias_ih += da.sum(axis=0)
            self.d_bias_hh += db.sum(axis=0)
            dx[t] = da @ self.weight_ih
            dh = dh * z + db @ self.weight_hh
        return dx, dh
