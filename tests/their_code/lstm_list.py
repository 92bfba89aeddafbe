# ruff: noqa
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def lstm_forward(inputs, h_prev, C_prev, p):
    W_f, b_f, W_i, b_i, W_g, b_g, W_o, b_o, W_v, b_v = p
    x_s, z_s, f_s, i_s, g_s, C_s, o_s, h_s, v_s, output_s = [], [], [], [], [], [], [], [], [], []
    h_s.append(h_prev)
    C_s.append(C_prev)
    for x in inputs:
        z = np.vstack((h_prev, x))
        z_s.append(z)
        f = sigmoid(W_f @ z + b_f)
        f_s.append(f)
        i = sigmoid(W_i @ z + b_i)
        i_s.append(i)
        g = np.tanh(W_g @ z + b_g)
        g_s.append(g)
        C_prev = f * C_prev + i * g
        C_s.append(C_prev)
        o = sigmoid(W_o @ z + b_o)
        o_s.append(o)
        h_prev = o * np.tanh(C_prev)
        h_s.append(h_prev)
        v = W_v @ h_prev + b_v
        output_s.append(softmax(v))
    return z_s, f_s, i_s, g_s, C_s, o_s, h_s, v_s, output_s


def lstm_backward(z, f, i, g, C, o, h, v, outputs, targets, p):
    W_f, b_f, W_i, b_i, W_g, b_g, W_o, b_o, W_v, b_v = p
    dW_f, db_f, dW_i, db_i, dW_g, db_g, dW_o, db_o, dW_v, db_v = [np.zeros_like(w) for w in p]
    dh_next = np.zeros_like(h[0])
    dC_next = np.zeros_like(C[0])
    loss = 0
    n = h[0].shape[0]
    for t in reversed(range(len(outputs))):
        loss += -np.sum(np.log(outputs[t]) * targets[t])
        dv = outputs[t] - targets[t]
        dW_v += dv @ h[t + 1].T
        db_v += dv
        dh = W_v.T @ dv + dh_next
        tc = np.tanh(C[t + 1])
        do = dh * tc * o[t] * (1 - o[t])
        dC = dC_next + dh * o[t] * (1 - tc**2)
        dg = dC * i[t] * (1 - g[t] ** 2)
        di = dC * g[t] * i[t] * (1 - i[t])
        df = dC * C[t] * f[t] * (1 - f[t])
        for dW, db, d in ((dW_f, db_f, df), (dW_i, db_i, di), (dW_g, db_g, dg), (dW_o, db_o, do)):
            dW += d @ z[t].T
            db += d
        dz = W_f.T @ df + W_i.T @ di + W_g.T @ dg + W_o.T @ do
        dh_next = dz[:n]
        dC_next = f[t] * dC
    return loss, (dW_f, db_f, dW_i, db_i, dW_g, db_g, dW_o, db_o, dW_v, db_v)
