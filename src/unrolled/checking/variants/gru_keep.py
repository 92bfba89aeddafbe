"""GRU whose update gate keeps, reset before the product: a⟨t⟩ = (1 − Γ_u) ∘ c̃⟨t⟩ + Γ_u ∘ a⟨t−1⟩; W_ca sees Γ_r ∘ a⟨t−1⟩"""

from unrolled.activations import sigmoid_backward, tanh_backward
from unrolled.functions import over_batch, sigmoid, tanh

source = (
    "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078v3: "
    "the update gate says how much of the old state is kept"
)

shapes = {
    "x": "n_x m",
    "a": "n_a m",
    "W_ua": "n_a n_a",
    "W_ux": "n_a n_x",
    "b_u": "n_a 1",
    "W_ra": "n_a n_a",
    "W_rx": "n_a n_x",
    "b_r": "n_a 1",
    "W_ca": "n_a n_a",
    "W_cx": "n_a n_x",
    "b_c": "n_a 1",
}


def forward(x, a_prev, W_ua, W_ux, b_u, W_ra, W_rx, b_r, W_ca, W_cx, b_c):
    z_u = W_ua @ a_prev + W_ux @ x + b_u
    z_r = W_ra @ a_prev + W_rx @ x + b_r
    u = sigmoid(z_u)
    r = sigmoid(z_r)
    a_reset = r * a_prev
    z_c = W_ca @ a_reset + W_cx @ x + b_c
    c_tilde = tanh(z_c)
    a = (1 - u) * c_tilde + u * a_prev
    return {
        "z_u": z_u,
        "z_r": z_r,
        "u": u,
        "r": r,
        "a_reset": a_reset,
        "z_c": z_c,
        "c_tilde": c_tilde,
        "a": a,
    }


def backward(da_y, da_next, x, a_prev, u, r, a_reset, c_tilde, W_ua, W_ux, W_ra, W_rx, W_ca, W_cx):
    da = da_y + da_next  # own output, and the next step
    dc_tilde = (1 - u) * da
    dz_c = tanh_backward(dc_tilde, c_tilde)
    da_reset = W_ca.T @ dz_c
    dr = a_prev * da_reset
    dz_r = sigmoid_backward(dr, r)
    du = (a_prev - c_tilde) * da
    dz_u = sigmoid_backward(du, u)
    return {
        "da": da,
        "dc_tilde": dc_tilde,
        "dz_c": dz_c,
        "da_reset": da_reset,
        "dr": dr,
        "dz_r": dz_r,
        "du": du,
        "dz_u": dz_u,
        "da_prev": u * da + r * da_reset + W_ra.T @ dz_r + W_ua.T @ dz_u,
        "dx": W_ux.T @ dz_u + W_rx.T @ dz_r + W_cx.T @ dz_c,
        "dW_ua": dz_u @ a_prev.T,
        "dW_ux": dz_u @ x.T,
        "db_u": over_batch(dz_u),
        "dW_ra": dz_r @ a_prev.T,
        "dW_rx": dz_r @ x.T,
        "db_r": over_batch(dz_r),
        "dW_ca": dz_c @ a_reset.T,
        "dW_cx": dz_c @ x.T,
        "db_c": over_batch(dz_c),
    }
