# ruff: noqa
import numpy as np

sigmoid = lambda x: 1.0 / (1.0 + np.exp(-x))


class LSTM:
    def __init__(self, n_in, n_hidden):
        init = lambda *s: np.random.randn(*s) * 0.1
        self.Wxi, self.Whi, self.bi = (
            init(n_in, n_hidden),
            init(n_hidden, n_hidden),
            np.zeros(n_hidden),
        )
        self.Wxf, self.Whf, self.bf = (
            init(n_in, n_hidden),
            init(n_hidden, n_hidden),
            np.zeros(n_hidden),
        )
        self.Wxo, self.Who, self.bo = (
            init(n_in, n_hidden),
            init(n_hidden, n_hidden),
            np.zeros(n_hidden),
        )
        self.Wxg, self.Whg, self.bg = (
            init(n_in, n_hidden),
            init(n_hidden, n_hidden),
            np.zeros(n_hidden),
        )

    def forward(self, inputs, h, c):
        self.saved = []
        outputs = []
        for x in inputs:
            i = sigmoid(x @ self.Wxi + h @ self.Whi + self.bi)
            f = sigmoid(x @ self.Wxf + h @ self.Whf + self.bf)
            o = sigmoid(x @ self.Wxo + h @ self.Who + self.bo)
            g = np.tanh(x @ self.Wxg + h @ self.Whg + self.bg)
            c_prev, h_prev = c, h
            c = f * c + i * g
            h = o * np.tanh(c)
            self.saved.append((x, h_prev, c_prev, i, f, o, g, c))
            outputs.append(h)
        return outputs, (h, c)

    def backward(self, douts):
        grads = {
            n: np.zeros_like(getattr(self, n))
            for n in (
                "Wxi",
                "Whi",
                "bi",
                "Wxf",
                "Whf",
                "bf",
                "Wxo",
                "Who",
                "bo",
                "Wxg",
                "Whg",
                "bg",
            )
        }
        dh = dc = 0.0
        for t in range(len(douts) - 1, -1, -1):
            x, h_prev, c_prev, i, f, o, g, c = self.saved[t]
            dh = dh + douts[t]
            tc = np.tanh(c)
            dc = dc + dh * o * (1 - tc**2)
            pre = {
                "o": dh * tc * o * (1 - o),
                "f": dc * c_prev * f * (1 - f),
                "i": dc * g * i * (1 - i),
                "g": dc * i * (1 - g**2),
            }
            dh = 0.0
            for k, d in pre.items():
                grads["Wx" + k] += x.T @ d
                grads["Wh" + k] += h_prev.T @ d
                grads["b" + k] += d.sum(axis=0)
                dh = dh + d @ getattr(self, "Wh" + k).T
            dc = dc * f
        return grads
