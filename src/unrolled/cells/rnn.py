"""Plain recurrent network: a⟨t⟩ = g(W_aa a⟨t−1⟩ + W_ax x⟨t⟩ + b_a)"""

from unrolled.functions import over_batch

source = "Elman 1990, Finding structure in time, Cognitive Science 14:179-211"
activations = ("tanh", "relu", "leaky_relu", "sigmoid")  # what g may be

shapes = {"x": "n_x m", "a": "n_a m", "W_aa": "n_a n_a", "W_ax": "n_a n_x", "b_a": "n_a 1"}


def forward(x, a_prev, W_aa, W_ax, b_a, g):
    z_a = W_aa @ a_prev + W_ax @ x + b_a
    a = g(z_a)
    return {"z_a": z_a, "a": a}


def backward(da_y, da_next, x, a_prev, a, W_aa, W_ax, g):
    da = da_y + da_next  # own output, and the next step
    dz_a = g.backward(da, a)
    return {
        "da": da, "dz_a": dz_a,
        "da_prev": W_aa.T @ dz_a, "dx": W_ax.T @ dz_a,
        "dW_aa": dz_a @ a_prev.T, "dW_ax": dz_a @ x.T, "db_a": over_batch(dz_a),
    }
