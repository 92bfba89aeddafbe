"""A cell whose quantities are called as a kernel's own variables are"""

from unrolled.functions import over_batch, sigmoid, tanh

source = "nobody"
shapes = {
    "x": "n_x m",
    "a": "n_a m",
    "number": "n_a n_a",
    "rows": "n_a n_x",
    "mask": "n_a 1",
    "W": "n_a n_a",
}


def forward(x, a_prev, number, rows, mask, W):
    r_load = number @ a_prev + rows @ x + mask
    load = tanh(r_load)
    p_a = sigmoid(load)
    j = W @ load
    r_j = tanh(j + p_a)
    to_a = r_j * load
    i_a = to_a * p_a
    a = i_a + 0.5 * r_j
    return {
        "r_load": r_load,
        "load": load,
        "p_a": p_a,
        "j": j,
        "r_j": r_j,
        "to_a": to_a,
        "i_a": i_a,
        "a": a,
    }


def backward(da_y, da_next, x, a_prev, load, p_a, r_j, to_a, number, rows, W):
    da = da_y + da_next
    dto = da * p_a
    dp = da * to_a
    dr = 0.5 * da + dto * load
    t = (1 - r_j**2) * dr
    q = dp + t
    row = dto * r_j + W.T @ t + p_a * (1 - p_a) * q
    s = (1 - load**2) * row
    return {
        "da": da,
        "dto": dto,
        "dp": dp,
        "dr": dr,
        "t": t,
        "q": q,
        "row": row,
        "s": s,
        "da_prev": number.T @ s,
        "dx": rows.T @ s,
        "dnumber": s @ a_prev.T,
        "drows": s @ x.T,
        "dmask": over_batch(s),
        "dW": t @ load.T,
    }
