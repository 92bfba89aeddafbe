"""LSTM with peepholes: the gates f and i see c⟨t−1⟩, the gate o sees c⟨t⟩"""

from unrolled.activations import sigmoid_backward, tanh_backward
from unrolled.functions import over_batch, sigmoid, tanh

source = "Gers and Schmidhuber 2000, Recurrent nets that time and count, IJCNN 3:189-194"

shapes = {
    "x": "n_x m", "a": "n_a m", "c": "n_a m",
    "W_fa": "n_a n_a", "W_fx": "n_a n_x", "b_f": "n_a 1", "p_f": "n_a 1",
    "W_ia": "n_a n_a", "W_ix": "n_a n_x", "b_i": "n_a 1", "p_i": "n_a 1",
    "W_ca": "n_a n_a", "W_cx": "n_a n_x", "b_c": "n_a 1",
    "W_oa": "n_a n_a", "W_ox": "n_a n_x", "b_o": "n_a 1", "p_o": "n_a 1",
}  # fmt: skip

initial = {"b_f": 1.0}


def forward(
    x, a_prev, c_prev, W_fa, W_fx, b_f, p_f, W_ia, W_ix, b_i, p_i, W_ca, W_cx, b_c,
    W_oa, W_ox, b_o, p_o,
):  # fmt: skip
    f = sigmoid(W_fa @ a_prev + W_fx @ x + p_f * c_prev + b_f)
    i = sigmoid(W_ia @ a_prev + W_ix @ x + p_i * c_prev + b_i)
    c_tilde = tanh(W_ca @ a_prev + W_cx @ x + b_c)
    c = f * c_prev + i * c_tilde
    o = sigmoid(W_oa @ a_prev + W_ox @ x + p_o * c + b_o)
    tanh_c = tanh(c)
    a = o * tanh_c
    return {"f": f, "i": i, "c_tilde": c_tilde, "c": c, "o": o, "tanh_c": tanh_c, "a": a}


def backward(
    da_y, da_next, dc_next, x, a_prev, c_prev, f, i, c_tilde, c, o, tanh_c,
    W_fa, W_fx, p_f, W_ia, W_ix, p_i, W_ca, W_cx, W_oa, W_ox, p_o,
):  # fmt: skip
    da = da_y + da_next
    dz_o = sigmoid_backward(tanh_c * da, o)
    dc = dc_next + tanh_backward(o * da, tanh_c) + p_o * dz_o
    dz_c = tanh_backward(i * dc, c_tilde)
    dz_i = sigmoid_backward(c_tilde * dc, i)
    dz_f = sigmoid_backward(c_prev * dc, f)
    return {
        "da": da, "dz_o": dz_o, "dc": dc, "dz_c": dz_c, "dz_i": dz_i, "dz_f": dz_f,
        "dc_prev": f * dc + p_i * dz_i + p_f * dz_f,
        "da_prev": W_fa.T @ dz_f + W_ia.T @ dz_i + W_ca.T @ dz_c + W_oa.T @ dz_o,
        "dx": W_fx.T @ dz_f + W_ix.T @ dz_i + W_cx.T @ dz_c + W_ox.T @ dz_o,
        "dW_fa": dz_f @ a_prev.T, "dW_fx": dz_f @ x.T,
        "db_f": over_batch(dz_f), "dp_f": over_batch(dz_f * c_prev),
        "dW_ia": dz_i @ a_prev.T, "dW_ix": dz_i @ x.T,
        "db_i": over_batch(dz_i), "dp_i": over_batch(dz_i * c_prev),
        "dW_ca": dz_c @ a_prev.T, "dW_cx": dz_c @ x.T, "db_c": over_batch(dz_c),
        "dW_oa": dz_o @ a_prev.T, "dW_ox": dz_o @ x.T,
        "db_o": over_batch(dz_o), "dp_o": over_batch(dz_o * c),
    }  # fmt: skip
