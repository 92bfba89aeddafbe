# ruff: noqa
import numpy as np


def init_params(num_inputs, num_hiddens, num_outputs):
    W_xh = np.random.randn(num_inputs, num_hiddens)
    W_hh = np.random.randn(num_hiddens, num_hiddens)
    return (
        W_xh,
        W_hh,
        np.zeros(num_hiddens),
        np.random.randn(num_hiddens, num_outputs),
        np.zeros(num_outputs),
    )


def rnn(inputs, state, params):
    W_xh, W_hh, b_h, W_hq, b_q = params
    (H,) = state
    outputs, states = [], [H]
    for X in inputs:
        H = np.tanh(np.dot(X, W_xh) + np.dot(H, W_hh) + b_h)
        outputs.append(np.dot(H, W_hq) + b_q)
        states.append(H)
    return outputs, states


def rnn_backward(inputs, targets, outputs, states, params):
    W_xh, W_hh, b_h, W_hq, b_q = params
    dW_xh, dW_hh, db_h, dW_hq, db_q = [np.zeros_like(p) for p in params]
    dH_next = np.zeros_like(states[0])
    for t in reversed(range(len(inputs))):
        o = outputs[t] - outputs[t].max(1, keepdims=True)
        p = np.exp(o) / np.exp(o).sum(1, keepdims=True)
        do = (p - targets[t]) / len(p)
        dW_hq += states[t + 1].T @ do
        db_q += do.sum(0)
        dH = do @ W_hq.T + dH_next
        dpre = dH * (1 - states[t + 1] ** 2)
        dW_xh += inputs[t].T @ dpre
        dW_hh += states[t].T @ dpre
        db_h += dpre.sum(0)
        dH_next = dpre @ W_hh.T
    return dW_xh, dW_hh, db_h, dW_hq, db_q
