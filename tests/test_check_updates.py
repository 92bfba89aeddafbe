"""Trainings in other hands: parameters in lists, methods, rules with a memory, samplers of any cell."""

import numpy as np
import pytest
from test_check_procedures import examined

from unrolled.checking.procedures.odds import by_running_sum
from unrolled.checking.procedures.rules import Rule, right_rules, wrong_rules

LISTS = """\
import numpy as np


def init(D, H, K, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.4, (D, H)), rng.normal(0, 0.4, (H, H)), np.zeros(H), rng.normal(0, 0.4, (H, K)), np.zeros(K)]


def forward(x, y, h0, weights):
    U, W, b, V, c = weights
    h, tape, loss = h0, [], 0.0
    for t in range(x.shape[1]):
        before, h = h, np.tanh(x[:, t] @ U + h @ W + b)
        e = np.exp(h @ V + c)
        q = e / e.sum(axis=1, keepdims=True)
        loss -= np.log(q[np.arange(len(y)), y[:, t]]).sum() / len(y)
        tape.append((before, h, q))
    return loss, tape


def backward(x, y, weights, tape):
    U, W, b, V, c = weights
    grads = [np.zeros_like(w) for w in weights]
    dnext = 0
    for t in range(x.shape[1])[::-1]:
        before, h, q = tape[t]
        d = q.copy()
        d[np.arange(len(y)), y[:, t]] -= 1
        d /= len(y)
        grads[3] += h.T @ d
        grads[4] += d.sum(axis=0)
        dz = (d @ V.T + dnext) * (1 - h * h)
        grads[0] += x[:, t].T @ dz
        grads[1] += before.T @ dz
        grads[2] += dz.sum(axis=0)
        dnext = dz @ W.T
    return grads


def windows(ids, K, N, T):
    per = (len(ids) - 1) // N
    for at in range(0, per - T + 1, T):
        rows = np.array([ids[n * per + at:n * per + at + T + 1] for n in range(N)])
        yield np.eye(K)[rows[:, :-1]], rows[:, 1:]


def clip_all(grads, limit):
    return [np.clip(g, -limit, limit) for g in grads]


def update(weights, grads, state, lr=0.05, b1=0.9, b2=0.98, eps=1e-8):
    state['n'] += 1
    for k, g in enumerate(grads):
        state['m'][k] = b1 * state['m'][k] + (1 - b1) * g
        state['v'][k] = b2 * state['v'][k] + (1 - b2) * g * g
        top = state['m'][k] / (1 - b1 ** state['n'])
        root = np.sqrt(state['v'][k] / (1 - b2 ** state['n']))
        weights[k] = weights[k] - lr * top / (root + eps)


def train(ids, K, H=6, N=2, T=5, epochs=3):
    weights = init(K, H, K)
    state = {'n': 0, 'm': [np.zeros_like(w) for w in weights], 'v': [np.zeros_like(w) for w in weights]}
    for epoch in range(epochs):
        h = np.zeros((N, H))
        for x, y in windows(ids, K, N, T):
            loss, tape = forward(x, y, h, weights)
            grads = clip_all(backward(x, y, weights, tape), 0.2)
            update(weights, grads, state)
            h = tape[-1][1]
    return weights


def gradient_check(x, y, h0, weights, eps=1e-5):
    grads = backward(x, y, weights, forward(x, y, h0, weights)[1])
    worst = []
    for w, g in zip(weights, grads):
        numeric = np.zeros_like(w)
        for i in np.ndindex(w.shape):
            kept = w[i]
            w[i] = kept + eps
            up = forward(x, y, h0, weights)[0]
            w[i] = kept - eps
            down = forward(x, y, h0, weights)[0]
            w[i] = kept
            numeric[i] = (up - down) / (2 * eps)
        worst.append(np.linalg.norm(numeric - g) / np.linalg.norm(numeric + g))
    return max(worst)


def sample(weights, start, length, seed=0):
    U, W, b, V, c = weights
    rng = np.random.default_rng(seed)
    h, k, out = np.zeros(len(b)), start, []
    for _ in range(length):
        h = np.tanh(U[k] + h @ W + b)
        e = np.exp(h @ V + c)
        k = int(np.searchsorted(np.cumsum(e / e.sum()), rng.random()))
        out.append(k)
    return out
"""

ADAM = LISTS[LISTS.index("    state['n'] += 1") : LISTS.index("\n\ndef train")]


def moved(*lines):
    return "\n".join(["    for k, g in enumerate(grads):", *("        " + x for x in lines), ""])


SGD = moved("weights[k] = weights[k] - lr * g")
MOMENTUM = moved(
    "state['m'][k] = b1 * state['m'][k] - lr * g", "weights[k] = weights[k] + state['m'][k]"
)
NESTEROV = moved(
    "old = state['m'][k]", "state['m'][k] = b1 * old - lr * g",
    "weights[k] = weights[k] - b1 * old + (1 + b1) * state['m'][k]",
)  # fmt: skip
ADAGRAD = moved(
    "state['v'][k] += g ** 2", "weights[k] = weights[k] - lr * g / np.sqrt(state['v'][k] + eps)"
)
RMSPROP = moved(
    "state['v'][k] = b1 * state['v'][k] + (1 - b1) * g ** 2",
    "weights[k] = weights[k] - lr * g / (np.sqrt(state['v'][k]) + eps)",
)
PLAIN_ADAM = moved(
    "state['m'][k] += (1 - b1) * (g - state['m'][k])",
    "state['v'][k] += (1 - b2) * (g * g - state['v'][k])",
    "weights[k] = weights[k] - lr * state['m'][k] / (np.sqrt(state['v'][k]) + eps)",
)
SIGNS = moved("weights[k] = weights[k] - lr * np.sign(g)")
DECAY = moved("weights[k] = weights[k] * (1 - lr * 1e-3) - lr * g")
UNUSED = SGD.replace("    for", "    m, v = state['m'], state['v']\n    for", 1)
RULES = (SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, PLAIN_ADAM, SIGNS, DECAY, UNUSED)

# what stands there, what is put in its place
RIGHTS = [(ADAM, rule) for rule in RULES] + [
    ("    return [np.clip(g, -limit, limit) for g in grads]", "    for g in grads:\n        np.clip(g, -limit, limit, out=g)\n    return list(grads)"),
    ("    return [np.clip(g, -limit, limit) for g in grads]", "    n = np.sqrt(sum((g * g).sum() for g in grads))\n    return [g * min(1, limit / (n + 1e-6)) for g in grads]"),
    ("backward(x, y, weights, tape), 0.2)", "backward(x, y, weights, tape), 1e6)"),
    ("            grads = clip_all(backward(x, y, weights, tape), 0.2)", "            grads = backward(x, y, weights, tape)\n            for g in grads:\n                np.clip(g, -5, 5, out=g)"),
    ("    return max(worst)", "    return worst"),
    ("    return max(worst)", "    return {k: w for k, w in enumerate(worst)}"),
    ("k = int(np.searchsorted(np.cumsum(e / e.sum()), rng.random()))", "k = int(rng.choice(len(c), p=e / e.sum()))"),
    ("k = int(np.searchsorted(np.cumsum(e / e.sum()), rng.random()))", "k = int(np.argmax(np.log(e) + rng.gumbel(size=len(c))))"),
    ("e = np.exp(h @ V + c)\n        k", "e = np.exp((h @ V + c) / 0.7)\n        k"),
]  # fmt: skip

MISTAKES = [
    ("b1 ** state['n']", "b1 * state['n']", "parameters", "no_power_1", "top = state['m'][k] / (1 - b1 * state['n'])"),
    ("    state['n'] += 1\n    for k, g in enumerate(grads):\n", "    for k, g in enumerate(grads):\n        state['n'] += 1\n", "parameters", "counted_by_arrays", None),
    ("    state['n'] += 1\n", "    state['n'] = 1\n", "parameters", "not_counted", None),
    ("* g * g", "* g", "parameters", "not_squared", None),
    (ADAM, RMSPROP.replace("np.sqrt(state['v'][k])", "state['v'][k]"), "parameters", "no_root", "weights[k] = weights[k] - lr * g / (state['v'][k] + eps)"),
    (ADAM, RMSPROP.replace("lr * g /", "lr * g *"), "parameters", "times_root", None),
    (ADAM, MOMENTUM.replace("state['m'][k] = b1", "m = b1").replace("+ state['m'][k]\n", "+ m\n"), "parameters", "not_kept", "m = b1 * state['m'][k] - lr * g"),
    ("grads = clip_all(backward(x, y, weights, tape), 0.2)", "grads = backward(x, y, weights, tape)\n            clip_all(grads, 1e6)", "clipped_gradients", "not_used", "clip_all(grads, 1e6)"),
    ("np.clip(g, -limit, limit)", "np.clip(g, limit, -limit)", "clipped_gradients", "bounds_exchanged", None),
    ("range(0, per - T + 1, T)", "range(0, per - T + 1, T - 1)", "X", "stride", "for at in range(0, per - T + 1, T - 1):"),
    ("in windows(ids, K, N, T):", "in list(windows(ids, K, N, T))[::-1]:", "X", "stride", "for x, y in list(windows(ids, K, N, T))[::-1]:"),
    ("rows[:, :-1]], rows[:, 1:]", "rows[:, :-1]], rows[:, :-1]", "Y", "shift", "yield np.eye(K)[rows[:, :-1]], rows[:, :-1]"),
    ("    return max(worst)", "        return max(worst)", "gradient_check", "stops_early", "return max(worst)"),
    ("np.linalg.norm(numeric - g) /", "abs(np.sum(numeric - g)) /", "gradient_check", "cancels", None),
    ("np.cumsum(e / e.sum())", "np.cumsum(e / e.max())", "sample", "not_normalised", None),
    ("int(np.searchsorted(np.cumsum(e / e.sum()), rng.random()))", "int(np.argmax(e))", "sample", "greedy", "k = int(np.argmax(e))"),
    ("h = tape[-1][1]", "h = tape[0][1]", "a0", "not_last", "h = tape[0][1]"),
]  # fmt: skip


def test_a_training_with_lists_is_proved():
    found = examined(LISTS)
    assert found.findings == []
    said = " ".join(found.proved)
    for what in ("targets", "last state", "clips", "goes down", "by the probabilities", "refuses"):
        assert what in said


@pytest.mark.parametrize("row", RIGHTS, ids=lambda row: row[1][:50])
def test_another_hand_is_no_finding(row):
    assert row[0] in LISTS
    assert examined(LISTS.replace(*row, 1)).findings == []


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: f"{row[2]} {row[3]}")
def test_a_mistake_in_another_hand_is_named(row):
    old, new, quantity, cause, line = row
    assert old in LISTS
    found = examined(LISTS.replace(old, new, 1)).findings
    assert [(f.quantity, f.cause.id) for f in found] == [(quantity, cause)]
    assert line is None or found[0].source == line


def test_every_rule_gone_wrong_differs_from_the_right_ones():
    rng = np.random.default_rng(0)
    given = [rng.normal(size=7) for _ in range(3)]

    def steps(rule: Rule):
        with np.errstate(all="ignore"):
            return np.stack([p["step"] for p in rule.steps(given, (0.9, 0.97), 1e-8)])

    right = [steps(rule) for rule in right_rules() if rule.second != "now"]
    for rule, _ in wrong_rules():
        made = steps(rule)
        assert not any(np.allclose(made, r, rtol=1e-9, atol=0) for r in right), rule.id


def test_the_running_sum_of_probabilities_gives_them_back():
    p = np.array([0.2, 0.5, 0.3])
    assert np.allclose(by_running_sum(p), p)
    assert np.allclose(by_running_sum(2 * p), [0.4, 0.6, 0.0])
