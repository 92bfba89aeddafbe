# ruff: noqa
import numpy as np


class Tagger:
    def __init__(self, words, cells, kinds):
        self.W = np.random.randn(cells, words) * 0.1
        self.U = np.random.randn(cells, cells) * 0.1
        self.b = np.zeros(cells)
        self.V = np.random.randn(kinds, cells) * 0.1
        self.c = np.zeros(kinds)

    def loss(self, sentence, gold):
        """one sequence (T, D) of vectors, gold ints"""
        h, hs, ps, loss = np.zeros(len(self.b)), [], [], 0
        for x, k in zip(sentence, gold):
            h = np.tanh(self.W @ x + self.U @ h + self.b)
            s = self.V @ h + self.c
            s = s - s.max()
            p = np.exp(s) / np.exp(s).sum()
            loss += np.log(np.exp(s).sum()) - s[k]
            hs.append(h)
            ps.append(p)
        grads = {n: np.zeros_like(v) for n, v in vars(self).items()}
        back = 0
        for t in range(len(sentence) - 1, -1, -1):
            d = ps[t].copy()
            d[gold[t]] -= 1
            grads["V"] += np.outer(d, hs[t])
            grads["c"] += d
            dz = (self.V.T @ d + back) * (1 - hs[t] ** 2)
            grads["W"] += np.outer(dz, sentence[t])
            if t:
                grads["U"] += np.outer(dz, hs[t - 1])
            grads["b"] += dz
            back = self.U.T @ dz
        return loss, grads
