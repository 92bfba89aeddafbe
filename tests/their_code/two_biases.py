# ruff: noqa
"""NumPy version of torch.nn.LSTM, names as in PyTorch."""

import numpy as np


def sigmoid(v):
    return 1.0 / (1.0 + np.exp(-v))


def lstm_forward(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh):
    """x: (seq_len, batch, input_size)"""
    seq_len, batch, _ = x.shape
    hidden_size = weight_hh.shape[1]
    h, c = h0, c0
    outputs, saved = [], []
    for t in range(seq_len):
        gates = x[t] @ weight_ih.T + bias_ih + h @ weight_hh.T + bias_hh
        i, f, g, o = np.split(gates, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_new = f * c + i * g
        tc = np.tanh(c_new)
        h_new = o * tc
        saved.append((x[t], h, c, i, f, g, o, tc))
        h, c = h_new, c_new
        outputs.append(h)
    return np.stack(outputs), (h, c), saved


def lstm_backward(dout, saved, weight_ih, weight_hh):
    dweight_ih = np.zeros_like(weight_ih)
    dweight_hh = np.zeros_like(weight_hh)
    dbias_ih = np.zeros(weight_ih.shape[0])
    dx = []
    dh = np.zeros_like(dout[0])
    dc = np.zeros_like(dout[0])
    for t in reversed(range(len(saved))):
        x, h_prev, c_prev, i, f, g, o, tc = saved[t]
        dh = dh + dout[t]
        do = dh * tc
        dc = dc + dh * o * (1 - tc**2)
        dgates = np.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c_prev * f * (1 - f),
                dc * i * (1 - g**2),
                do * o * (1 - o),
            ],
            axis=1,
        )
        dweight_ih += dgates.T @ x
        dweight_hh += dgates.T @ h_prev
        dbias_ih += dgates.sum(0)
        dx.insert(0, dgates @ weight_ih)
        dh = dgates @ weight_hh
        dc = dc * f
    dbias_hh = dbias_ih.copy()
    return np.stack(dx), dh, dc, dweight_ih, dweight_hh, dbias_ih, dbias_hh
