"""Trainings whose arguments have names that say nothing are called by what is done with them, and judged."""

import ast

import pytest
from test_check_procedures import examined

from unrolled.checking.procedures.meanings import meanings
from unrolled.checking.procedures.roles import argument_role, functions

# A batch of readers of one stream, weights in a list; and one word at a time, weights in a dictionary.
READERS = """
import numpy as np
def setup(n_in, n_hid, rs):
    s = 1 / np.sqrt(n_hid)
    return [rs.uniform(-s, s, (n_in, n_hid)), rs.uniform(-s, s, (n_hid, n_hid)), np.zeros(n_hid),
            rs.uniform(-s, s, (n_hid, n_in)), np.zeros(n_in)]


def pieces(codes, readers, width):
    n = (len(codes) - 1) // readers
    src = np.array(codes[:n * readers]).reshape(readers, n)
    dst = np.array(codes[1:n * readers + 1]).reshape(readers, n)
    k = 0
    while k + width <= n:
        yield src[:, k:k + width], dst[:, k:k + width]
        k += width


def run_net(p, x, y, carry):
    Wx, Wh, b, Wo, bo = p
    B, L = x.shape
    hs, ps, total = [carry], [], 0.0
    for t in range(L):
        hs.append(np.tanh(Wx[x[:, t]] + hs[-1] @ Wh + b))
        logits = hs[-1] @ Wo + bo
        e = np.exp(logits - logits.max(1, keepdims=True))
        q = e / e.sum(1, keepdims=True)
        ps.append(q)
        total -= np.log(q[np.arange(B), y[:, t]]).sum() / (B * L)
    return total, hs, ps


def net_grads(p, x, y, hs, ps):
    Wx, Wh, b, Wo, bo = p
    dWx, dWh, db, dWo, dbo = [np.zeros_like(v) for v in p]
    B, L = x.shape
    back = np.zeros_like(hs[0])
    for t in reversed(range(L)):
        d = ps[t].copy()
        d[np.arange(B), y[:, t]] -= 1
        d /= B * L
        dWo += hs[t + 1].T @ d
        dbo += d.sum(0)
        dz = (d @ Wo.T + back) * (1 - hs[t + 1] ** 2)
        np.add.at(dWx, x[:, t], dz)
        dWh += hs[t].T @ dz
        db += dz.sum(0)
        back = dz @ Wh.T
    return [dWx, dWh, db, dWo, dbo]


def babble(p, seed_code, amount, rs):
    Wx, Wh, b, Wo, bo = p
    h, code, out = np.zeros(len(b)), seed_code, []
    for _ in range(amount):
        h = np.tanh(Wx[code] + h @ Wh + b)
        logits = h @ Wo + bo
        e = np.exp(logits - logits.max())
        code = int(rs.choice(len(bo), p=e / e.sum()))
        out.append(code)
    return out


def train_net(codes, n_codes, n_hid=32, readers=16, width=25, pace=0.5, rounds=5):
    rs = np.random.default_rng(3)
    p = setup(n_codes, n_hid, rs)
    for _ in range(rounds):
        carry = np.zeros((readers, n_hid))
        for x, y in pieces(codes, readers, width):
            total, hs, ps = run_net(p, x, y, carry)
            grads = net_grads(p, x, y, hs, ps)
            for w, g in zip(p, grads):
                w -= pace * g
            carry = hs[-1]
    return p
"""

WORDS = r"""import numpy as np

def weights(hid, sym, gen):
    return {'U': gen.randn(hid, sym) / 3, 'W': gen.randn(hid, hid) / 3, 'V': gen.randn(sym, hid) / 3,
            'b': np.zeros((hid, 1)), 'c': np.zeros((sym, 1))}

def make_io(word, table):
    X = [None] + [table[c] for c in word]
    Y = X[1:] + [table["\n"]]
    return X, Y

def cell(w, x, h):
    h = np.tanh(w['W'] @ h + w['U'] @ x + w['b'])
    s = w['V'] @ h + w['c']
    e = np.exp(s - s.max())
    return h, e / e.sum()

def loss_pass(w, X, Y, h0):
    xs, hs, ps, loss = [], [h0], [], 0.0
    for t in range(len(X)):
        x = np.zeros((w['U'].shape[1], 1))
        if X[t] is not None:
            x[X[t]] = 1
        h, p = cell(w, x, hs[-1])
        xs.append(x), hs.append(h), ps.append(p)
        loss -= np.log(p[Y[t], 0])
    return loss, xs, hs, ps

def back(w, Y, xs, hs, ps):
    g = {k: np.zeros_like(v) for k, v in w.items()}
    dh = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        ds = ps[t].copy()
        ds[Y[t]] -= 1
        g['V'] += ds @ hs[t + 1].T
        g['c'] += ds
        da = (w['V'].T @ ds + dh) * (1 - hs[t + 1] ** 2)
        g['W'] += da @ hs[t].T
        g['U'] += da @ xs[t].T
        g['b'] += da
        dh = w['W'].T @ da
    return g

def invent(w, ending, gen):
    h, x, ids = np.zeros((w['W'].shape[0], 1)), np.zeros((w['U'].shape[1], 1)), []
    while len(ids) < 50 and (not ids or ids[-1] != ending):
        h_new, p = cell(w, x, h)
        k = gen.choice(len(p), p=p.ravel())
        x = np.zeros_like(x)
        x[k] = 1
        ids.append(k)
        h = h_new
    return ids

def learn(collection, table, hid=20, passes=100, speed=0.1):
    gen = np.random.RandomState(0)
    w = weights(hid, len(table), gen)
    for i in range(passes):
        X, Y = make_io(collection[i % len(collection)], table)
        loss, xs, hs, ps = loss_pass(w, X, Y, np.zeros((hid, 1)))
        g = back(w, Y, xs, hs, ps)
        for k in w:
            w[k] -= speed * g[k]
    return w
"""

# program, what stands there, what is put in its place, quantity, cause, the line that is named
MISTAKES = [
    (READERS, "w -= pace * g", "w += pace * g", "parameters", "ascends", "w += pace * g"),
    (READERS, "codes[1:n * readers + 1]", "codes[:n * readers]", "Y", "shift", "yield src[:, k:k + width], dst[:, k:k + width]"),
    (READERS, "carry = hs[-1]", "carry = hs[1]", "a0", "not_last", "carry = hs[1]"),
    (READERS, "    for _ in range(rounds):\n        carry = np.zeros((readers, n_hid))", "    carry = np.zeros((readers, n_hid))\n    for _ in range(rounds):", "a0", "kept_across_epochs", "for _ in range(rounds):"),
    (READERS, "Wx[code]", "Wx[seed_code]", "sample", "not_fed_back", None),
    (WORDS, "w[k] -= speed", "w[k] += speed", "parameters", "ascends", "w[k] += speed * g[k]"),
    (WORDS, 'X[1:] + [table["\\n"]]', '[table["\\n"]] + X[1:]', "Y", "shift", 'Y = [table["\\n"]] + X[1:]'),
    (WORDS, "        h = h_new\n", "", "sample", "state_not_carried", None),
    (WORDS, "        x[k] = 1\n", "", "sample", "not_fed_back", None),
]  # fmt: skip


@pytest.mark.parametrize("program", [READERS, WORDS], ids=("readers", "words"))
def test_names_that_say_nothing_are_understood(program):
    found = examined(program)
    assert found.findings == []
    assert found.untestable == []
    said = " ".join(found.proved)
    for what in ("targets are the next", "goes down the gradient", "draws each symbol from"):
        assert what in said


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: f"{row[3]} {row[4]}")
def test_a_mistake_behind_such_names_is_found(row):
    program, old, new, quantity, cause, line = row
    assert old in program
    found = examined(program.replace(old, new, 1)).findings
    assert [(f.quantity, f.cause.id) for f in found] == [(quantity, cause)]
    assert line is None or found[0].source == line


def test_targets_that_are_given_are_not_judged():
    sequences = WORDS.replace(
        "make_io(collection[i % len(collection)], table)", "collection[i % len(collection)]"
    )
    assert examined(sequences).findings == []


def test_what_an_argument_stands_for_is_seen_from_its_use():
    tree = ast.parse(READERS)
    found = meanings(tree, functions(tree), argument_role)
    sure = {name: may[0] for name, may in found.items() if len(may) == 1}
    wanted = {"readers": "m", "width": "T", "n_codes": "n_symbols", "rs": "generator"}
    assert wanted.items() <= sure.items()
    assert "ids" in found["codes"]
