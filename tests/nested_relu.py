"""A relu of a sum with a relu in it."""

from unrolled.activations import relu_backward
from unrolled.functions import over_batch, relu

source = "a test"
shapes = {"x": "n_x m", "a": "n_a m", "W_aa": "n_a n_a", "W_ax": "n_a n_x", "b_a": "n_a 1"}


def forward(x, a_prev, W_aa, W_ax, b_a):
    a = relu(relu(W_aa @ a_prev) + W_ax @ x + b_a)
    return {"a": a}


def backward(da_y, da_next, x, a_prev, a, W_aa, W_ax):
    dz_a = relu_backward(da_y + da_next, a)
    dr = relu_backward(dz_a, relu(W_aa @ a_prev))
    return {
        "dz_a": dz_a,
        "dr": dr,
        "da_prev": W_aa.T @ dr,
        "dx": W_ax.T @ dz_a,
        "dW_aa": dr @ a_prev.T,
        "dW_ax": dz_a @ x.T,
        "db_a": over_batch(dz_a),
    }
