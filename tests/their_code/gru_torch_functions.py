# ruff: noqa
import numpy as np


def sig(v):
    return 1 / (1 + np.exp(-v))


def gru_fwd(seq, h_0, weight_ih, weight_hh, bias_ih, bias_hh):
    """seq (T, N, D); rows of the weights are r, z, n, as torch has them"""
    H = h_0.shape[1]
    state, kept, outs = h_0, [], []
    for x in seq:
        a = x @ weight_ih.T + bias_ih
        b = state @ weight_hh.T + bias_hh
        r, z = sig(a[:, :H] + b[:, :H]), sig(a[:, H : 2 * H] + b[:, H : 2 * H])
        n = np.tanh(a[:, 2 * H :] + r * b[:, 2 * H :])
        after = n + z * (state - n)
        kept.append((x, state, r, z, n, b[:, 2 * H :]))
        outs.append(after)
        state = after
    return np.stack(outs), kept


def gru_bwd(grad_out, kept, weight_ih, weight_hh):
    g_ih, g_hh = np.zeros_like(weight_ih), np.zeros_like(weight_hh)
    g_bih, g_bhh = np.zeros(len(weight_ih)), np.zeros(len(weight_hh))
    back = np.zeros_like(grad_out[0])
    for g, (x, state, r, z, n, inner) in zip(grad_out[::-1], kept[::-1]):
        g = g + back
        n_raw = g * (1 - z) * (1 - n * n)
        z_raw = g * (state - n) * z * (1 - z)
        r_raw = n_raw * inner * r * (1 - r)
        from_x = np.hstack([r_raw, z_raw, n_raw])
        from_h = np.hstack([r_raw, z_raw, n_raw * r])
        g_ih += from_x.T @ x
        g_hh += from_h.T @ state
        g_bih += from_x.sum(axis=0)
        g_bhh += from_h.sum(axis=0)
        back = g * z + from_h @ weight_hh
    return {
        "dweight_ih": g_ih,
        "dweight_hh": g_hh,
        "dbias_ih": g_bih,
        "dbias_hh": g_bhh,
        "dh_0": back,
    }
