"""LSTM: c⟨t⟩ = Γ_f ∘ c⟨t−1⟩ + Γ_i ∘ c̃⟨t⟩, a⟨t⟩ = Γ_o ∘ tanh(c⟨t⟩); forget gate, no peepholes"""

from unrolled.activations import sigmoid_backward, tanh_backward
from unrolled.functions import over_batch, sigmoid, tanh

source = (
    "Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation 9:1735-1780; "
    "forget gate: Gers, Schmidhuber and Cummins 2000, Neural Computation 12:2451-2471"
)

shapes = {
    "x": "n_x m", "a": "n_a m", "c": "n_a m",
    "W_fa": "n_a n_a", "W_fx": "n_a n_x", "b_f": "n_a 1",
    "W_ia": "n_a n_a", "W_ix": "n_a n_x", "b_i": "n_a 1",
    "W_ca": "n_a n_a", "W_cx": "n_a n_x", "b_c": "n_a 1",
    "W_oa": "n_a n_a", "W_ox": "n_a n_x", "b_o": "n_a 1",
}

initial = {"b_f": 1.0}  # remember at first: Gers, Schmidhuber and Cummins 2000


def forward(
    x, a_prev, c_prev, W_fa, W_fx, b_f, W_ia, W_ix, b_i, W_ca, W_cx, b_c, W_oa, W_ox, b_o
):
    z_f = W_fa @ a_prev + W_fx @ x + b_f
    z_i = W_ia @ a_prev + W_ix @ x + b_i
    z_c = W_ca @ a_prev + W_cx @ x + b_c
    z_o = W_oa @ a_prev + W_ox @ x + b_o
    f = sigmoid(z_f)
    i = sigmoid(z_i)
    c_tilde = tanh(z_c)
    o = sigmoid(z_o)
    c = f * c_prev + i * c_tilde
    tanh_c = tanh(c)
    a = o * tanh_c
    return {
        "z_f": z_f, "z_i": z_i, "z_c": z_c, "z_o": z_o,
        "f": f, "i": i, "c_tilde": c_tilde, "o": o, "c": c, "tanh_c": tanh_c, "a": a,
    }


def backward(
    da_y, da_next, dc_next, x, a_prev, c_prev, f, i, c_tilde, o, tanh_c,
    W_fa, W_fx, W_ia, W_ix, W_ca, W_cx, W_oa, W_ox,
):
    da = da_y + da_next  # own output, and the next step
    do = tanh_c * da
    dz_o = sigmoid_backward(do, o)
    dtanh_c = o * da
    dc = dc_next + tanh_backward(dtanh_c, tanh_c)  # the next step, and through a
    dc_tilde = i * dc
    dz_c = tanh_backward(dc_tilde, c_tilde)
    di = c_tilde * dc
    dz_i = sigmoid_backward(di, i)
    df = c_prev * dc
    dz_f = sigmoid_backward(df, f)
    return {
        "da": da, "do": do, "dz_o": dz_o, "dtanh_c": dtanh_c, "dc": dc,
        "dc_tilde": dc_tilde, "dz_c": dz_c, "di": di, "dz_i": dz_i, "df": df, "dz_f": dz_f,
        "dc_prev": f * dc,
        "da_prev": W_fa.T @ dz_f + W_ia.T @ dz_i + W_ca.T @ dz_c + W_oa.T @ dz_o,
        "dx": W_fx.T @ dz_f + W_ix.T @ dz_i + W_cx.T @ dz_c + W_ox.T @ dz_o,
        "dW_fa": dz_f @ a_prev.T, "dW_fx": dz_f @ x.T, "db_f": over_batch(dz_f),
        "dW_ia": dz_i @ a_prev.T, "dW_ix": dz_i @ x.T, "db_i": over_batch(dz_i),
        "dW_ca": dz_c @ a_prev.T, "dW_cx": dz_c @ x.T, "db_c": over_batch(dz_c),
        "dW_oa": dz_o @ a_prev.T, "dW_ox": dz_o @ x.T, "db_o": over_batch(dz_o),
    }
