# ruff: noqa
import numpy as np


def logistic(v):
    return 1 / (1 + np.exp(-v))


def rollout(theta, frames, start):
    """One sequence of vectors; keeping gate z."""
    states, record = [start], []
    for frame in frames:
        s = states[-1]
        z = logistic(theta["Wz"] @ frame + theta["Vz"] @ s + theta["bz"])
        r = logistic(theta["Wr"] @ frame + theta["Vr"] @ s + theta["br"])
        g = np.tanh(theta["Wg"] @ frame + theta["Vg"] @ (r * s) + theta["bg"])
        record.append((z, r, g))
        states.append(z * s + (1 - z) * g)
    return states, record


def rollout_grads(theta, frames, states, record, dstates):
    grads = {k: np.zeros_like(v) for k, v in theta.items()}
    carry = np.zeros_like(states[0])
    for t in reversed(range(len(frames))):
        z, r, g = record[t]
        s, x = states[t], frames[t]
        d = dstates[t] + carry
        dg = d * (1 - z) * (1 - g * g)
        dz = d * (s - g) * z * (1 - z)
        drs = theta["Vg"].T @ dg
        dr = drs * s * r * (1 - r)
        for k, v in (("z", dz), ("r", dr), ("g", dg)):
            grads["W" + k] += np.outer(v, x)
            grads["b" + k] += v
            grads["V" + k] += np.outer(v, r * s if k == "g" else s)
        carry = d * z + drs * r + theta["Vz"].T @ dz + theta["Vr"].T @ dr
    return grads, carry
