# ruff: noqa
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru_cell_forward(xt, a_prev, parameters):
    P = parameters
    u = sigmoid(P["Wux"] @ xt + P["Wua"] @ a_prev + P["bu"])
    r = sigmoid(P["Wrx"] @ xt + P["Wra"] @ a_prev + P["br"])
    cct = np.tanh(P["Wcx"] @ xt + P["Wca"] @ (r * a_prev) + P["bc"])
    a_next = u * cct + (1 - u) * a_prev
    return a_next, (xt, a_prev, u, r, cct, parameters)


def gru_forward(x, a0, parameters):
    a = np.zeros(a0.shape + (x.shape[2],))
    a_prev, caches = a0, []
    for t in range(x.shape[2]):
        a_prev, cache = gru_cell_forward(x[:, :, t], a_prev, parameters)
        a[:, :, t] = a_prev
        caches.append(cache)
    return a, caches


def gru_cell_backward(da_next, cache):
    xt, a_prev, u, r, cct, P = cache
    du = da_next * (cct - a_prev) * u * (1 - u)
    dcct = da_next * u * (1 - cct**2)
    dra = P["Wca"].T @ dcct
    dr = dra * a_prev * r * (1 - r)
    dWua, dWra, dWca = du @ a_prev.T, dr @ a_prev.T, dcct @ (r * a_prev).T
    dWux, dWrx, dWcx = du @ xt.T, dr @ xt.T, dcct @ xt.T
    dbu, dbr, dbc = (d.sum(axis=1, keepdims=True) for d in (du, dr, dcct))
    da_prev = da_next * (1 - u) + dra * r + P["Wua"].T @ du + P["Wra"].T @ dr
    dxt = P["Wux"].T @ du + P["Wrx"].T @ dr + P["Wcx"].T @ dcct
    return {
        "dxt": dxt,
        "da_prev": da_prev,
        "dWua": dWua,
        "dWra": dWra,
        "dWca": dWca,
        "dWux": dWux,
        "dWrx": dWrx,
        "dWcx": dWcx,
        "dbu": dbu,
        "dbr": dbr,
        "dbc": dbc,
    }


def gru_backward(da, caches):
    dWua = dWra = dWca = dWux = dWrx = dWcx = dbu = dbr = dbc = 0
    da_prevt = np.zeros(da.shape[:2])
    dx = np.zeros(caches[0][0].shape + (da.shape[2],))
    for t in reversed(range(da.shape[2])):
        gradients = gru_cell_backward(da[:, :, t] + da_prevt, caches[t])
        da_prevt = gradients["da_prev"]
        dx[:, :, t] = gradients["dxt"]
        dWua = dWua + gradients["dWua"]
        dWra = dWra + gradients["dWra"]
        dWca = dWca + gradients["dWca"]
        dWux = dWux + gradients["dWux"]
        dWrx = dWrx + gradients["dWrx"]
        dWcx = dWcx + gradients["dWcx"]
        dbu = dbu + gradients["dbu"]
        dbr = dbr + gradients["dbr"]
        dbc = dbc + gradients["dbc"]
    return {
        "dx": dx,
        "da0": da_prevt,
        "dWua": dWua,
        "dWra": dWra,
        "dWca": dWca,
        "dWux": dWux,
        "dWrx": dWrx,
        "dWcx": dWcx,
        "dbu": dbu,
        "dbr": dbr,
        "dbc": dbc,
    }
