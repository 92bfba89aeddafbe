"""An RNN and an LSTM as a good NumPy programmer writes them by hand: what the engine is held against.

They live here and not in the package, where a cell's mathematics is written once. Each is hoisted as
far as it goes: one product over all steps for the inputs, one for each weight gradient, and all of the
backward that does not wait for the next step is computed for all steps at once. The time loops hold
what is left, on views that were made once, in buffers that are used again by the next call.

Rows are sequences: x (T, m, n_x), a (T, m, n_a), which is (n_x, m, T), (n_a, m, T) in Fortran order,
transposed without a copy. `a.dot(W, out)` is the array's own method: it takes a third of the time that
`a @ W` takes to start.
"""

from itertools import pairwise

import numpy as np
from numpy import add, multiply, subtract, tanh


class _Loss:
    """Output layer, softmax and cross-entropy, mean over all T·m = K targets.

    The logits are (n_y, K), so that the sums over features run along whole rows of memory.
    """

    def __init__(self, parameters, K):
        self.W, self.b = parameters["W_ya"], parameters["b_y"]
        self.z = np.empty((len(self.W), K), self.W.dtype)
        self.row = np.empty((1, K), self.W.dtype)
        self.column = np.arange(K)

    def __call__(self, A, labels, dA):
        """Take A (K, n_a) and labels (K,), fill dA (K, n_a); return the loss and two gradients."""
        z, row, K = self.z, self.row, len(labels)
        self.W.dot(A.T, z)
        add(z, self.b, z)
        z.max(axis=0, keepdims=True, out=row)
        subtract(z, row, z)
        of_label = labels * K + self.column
        flat = z.reshape(-1)
        loss = -flat[of_label].sum()
        np.exp(z, z)
        z.sum(axis=0, keepdims=True, out=row)
        loss = (loss + np.log(row).sum()) / K
        multiply(row, K, row)  # the mean's 1/K, put where there are fewest numbers
        np.divide(z, row, z)
        flat[of_label] -= z.dtype.type(1 / K)
        z.T.dot(self.W, dA)
        return float(loss), {"W_ya": z.dot(A), "b_y": z.sum(axis=1, keepdims=True)}


class RNN:
    """a⟨t⟩ = tanh(W_aa a⟨t−1⟩ + W_ax x⟨t⟩ + b_a), from a zero state, for one m and T.

    `parameters` are a network's: W_aa (n_a, n_a), W_ax (n_a, n_x), b_a (n_a, 1), W_ya, b_y.
    """

    def __init__(self, parameters, m, T):
        self.W, self.W_x = (np.asfortranarray(parameters[name]) for name in ("W_aa", "W_ax"))
        self.b = parameters["b_a"].T
        n_a, dtype = len(self.W), self.W.dtype
        self.loss = _Loss(parameters, T * m)
        self.A = np.zeros((T + 1, m, n_a), dtype)  # the first is the zero state
        self.P, self.dA = np.empty((2, T, m, n_a), dtype)  # W_ax x + b_a, later dz; from the loss
        self.z, self.da = np.empty((2, m, n_a), dtype)
        self.W_by_rows = np.empty((n_a, n_a), dtype)
        self.steps = [(*pair, p) for pair, p in zip(pairwise(self.A), self.P, strict=True)]
        self.steps_back = list(zip(self.P, self.dA, strict=True))[::-1]

    def loss_and_gradients(self, X, Y):
        """Take X (n_x, m, T) and labels Y (m, T); return the loss and the gradients by name."""
        A_prev, A, dz, dA = map(_rows, (self.A[:-1], self.A[1:], self.P, self.dA))
        x = _rows(X.T)
        x.dot(self.W_x.T, dz)
        add(dz, self.b, dz)
        self._forward()
        loss, gradients = self.loss(A, Y.T.reshape(-1), dA)
        multiply(A, A, dz)
        subtract(1, dz, dz)  # 1 − a², of all steps
        self._backward()
        gradients |= {"W_aa": dz.T.dot(A_prev), "W_ax": dz.T.dot(x), "b_a": _over_rows(dz)}
        return loss, gradients

    def _forward(self):
        z, W = self.z, self.W.T
        for a_prev, a, p in self.steps:
            a_prev.dot(W, z)
            add(z, p, z)
            tanh(z, a)

    def _backward(self):
        """Turn P from 1 − a² into dz, from the last step to the first."""
        da, W = self.da, self.W_by_rows
        W[:] = self.W  # products from the right with columns in memory take up to a third longer
        da[:] = 0
        for dz, da_y in self.steps_back:
            add(da, da_y, da)
            multiply(dz, da, dz)
            dz.dot(W, da)


class LSTM:
    """The LSTM with a forget gate and no peepholes, from zero states, for one m and T.

    The weights of the gates are stacked, in the order o, i, f, c, so that the three sigmoids are one
    call. σ(z) = ½ + ½ tanh(z/2): with the halves put into the weights, one tanh serves all four.
    The values of the gates are (T, 4, m, n_a), each a block of its own: on columns of a wide array
    the same calls took 1.5 to 2.5 times as long. dz is (T, m, 4 n_a), as products take it.
    """

    gates = "oifc"

    def __init__(self, parameters, m, T):
        stacked = [np.vstack([parameters[n.format(g)] for g in self.gates])
                   for n in ("W_{}a", "W_{}x", "b_{}")]  # fmt: skip
        self.W, self.W_x, b = stacked  # in rows, as da = dz W wants it
        self.b = b.T
        n_a, dtype = self.W.shape[1], self.W.dtype
        self.half = np.repeat(np.array([0.5, 0.5, 0.5, 1], dtype), n_a)
        self.loss = _Loss(parameters, T * m)
        self.A, self.C = np.zeros((2, T + 1, m, n_a), dtype)  # the first are the zero states
        self.P = np.empty((T, m, 4 * n_a), dtype)  # W_x x + b, later dz
        self.G = np.empty((T, 4, m, n_a), dtype)  # the gates, later what dc and da reach dz through
        self.tanh_C, self.F, self.dC, self.dA = np.empty((4, T, m, n_a), dtype)
        self.z = np.empty((m, 4 * n_a), dtype)
        self.product, self.da, self.dc = np.empty((3, m, n_a), dtype)
        self._make_steps()

    def _make_steps(self):
        """Make the views of each step once: making one costs as much as a small operation."""
        A, C, G, P = self.A, self.C, self.G, self.P
        T, m, n_a = self.F.shape
        dz = P.reshape(T, m, 4, n_a).swapaxes(1, 2)
        self.steps = [
            (A[t], C[t], P[t], G[t], G[t, :3], *G[t], C[t + 1], self.tanh_C[t], A[t + 1])
            for t in range(T)
        ]
        self.steps_back = [
            (self.dA[t], self.dC[t], self.F[t], G[t, 0], dz[t, 0], G[t, 1:], dz[t, 1:], P[t])
            for t in reversed(range(T))
        ]

    def loss_and_gradients(self, X, Y):
        """Take X (n_x, m, T) and labels Y (m, T); return the loss and the gradients by name."""
        A_prev, A, dz, dA = map(_rows, (self.A[:-1], self.A[1:], self.P, self.dA))
        x = _rows(X.T)
        x.dot((self.W_x * self.half[:, None]).T, dz)
        add(dz, self.b * self.half, dz)
        self._forward()
        loss, gradients = self.loss(A, Y.T.reshape(-1), dA)
        self._hoist()
        self._backward()
        gradients |= self._by_gate(dz.T.dot(A_prev), dz.T.dot(x), _over_rows(dz))
        return loss, gradients

    def _forward(self):
        z, product, half = self.z, self.product, self.W.dtype.type(0.5)
        z_by_gate = z.reshape(len(z), 4, -1).swapaxes(0, 1)
        W = np.multiply(self.W.T, self.half, order="C")
        for a_prev, c_prev, p, gates, sigmoids, o, i, f, c_tilde, c, tanh_c, a in self.steps:
            a_prev.dot(W, z)
            add(z, p, z)
            tanh(z_by_gate, gates)
            multiply(sigmoids, half, sigmoids)
            add(sigmoids, half, sigmoids)
            multiply(f, c_prev, c)
            multiply(i, c_tilde, product)
            add(c, product, c)
            tanh(c, tanh_c)
            multiply(o, tanh_c, a)

    def _hoist(self):
        """Compute for all steps what the backward multiplies da and dc with, in place of the gates:

        dz_o = da ∘ tanh_c o (1 − o), the share of dc: da ∘ o (1 − tanh_c²), and of dc
        dz_i: c̃ i (1 − i), dz_f: c_prev f (1 − f), dz_c: i (1 − c̃²), dc_prev: f.
        """
        o, i, f, c_tilde = self.G.swapaxes(0, 1)
        tanh_C, slope = self.tanh_C, self.P.reshape(4, *self.F.shape)[0]  # P is free until dz
        multiply(tanh_C, tanh_C, slope)
        subtract(1, slope, slope)
        multiply(o, slope, self.dC)
        _sigmoid_slope(o, slope)
        multiply(slope, tanh_C, o)
        self.F[:] = f
        _sigmoid_slope(f, slope)
        multiply(slope, self.C[:-1], f)
        _sigmoid_slope(i, slope)
        multiply(slope, c_tilde, slope)
        multiply(c_tilde, c_tilde, c_tilde)
        subtract(1, c_tilde, c_tilde)
        multiply(i, c_tilde, c_tilde)
        i[:] = slope

    def _backward(self):
        da, dc, product, W = self.da, self.dc, self.product, self.W
        da[:] = dc[:] = 0
        for da_y, of_dc, f, of_o, dz_o, of_others, dz_others, dz in self.steps_back:
            add(da, da_y, da)
            multiply(of_dc, da, product)
            add(dc, product, dc)
            multiply(of_o, da, dz_o)
            multiply(of_others, dc, dz_others)
            multiply(f, dc, dc)
            dz.dot(W, da)

    def _by_gate(self, dW, dW_x, db):
        n_a = self.W.shape[1]
        gradients = {}
        for k, gate in enumerate(self.gates):
            rows = slice(k * n_a, (k + 1) * n_a)
            gradients |= {f"W_{gate}a": dW[rows], f"W_{gate}x": dW_x[rows], f"b_{gate}": db[rows]}
        return gradients


def _rows(array):
    """All steps and sequences as rows, (T·m, n), of an array (T, m, n)."""
    return array.reshape(-1, array.shape[-1])


def _sigmoid_slope(gate, out):
    multiply(gate, gate, out)
    subtract(gate, out, out)


def _over_rows(dz):
    """Sum over all rows, as a column: a product with ones is faster than a sum."""
    return np.ones(len(dz), dz.dtype).dot(dz)[:, None]
