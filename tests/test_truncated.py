"""Truncated backpropagation: what it drops, proved by adding it back, term by term."""

import itertools

import numpy as np
import pytest
from problems import assert_close, problem

import unrolled as un
from unrolled.engines import engine_names
from unrolled.gradients.truncated import Truncation


def _terms(p):
    """For each step s of a loss and each step t, what loss⟨s⟩ owes to the use of parameters at t."""
    T = p.X.shape[-1]
    targets = (p.Y >= 0).sum()
    for s in range(T):
        Y = np.full_like(p.Y, -1)
        Y[:, s] = p.Y[:, s]
        tape = p.net.tape(p.X, Y, p.state, p.lengths, reduction="sum")
        for t in range(T):
            yield s, t, {n: share[..., t] / targets for n, share in tape.shares.items()}


@pytest.mark.parametrize("engine", engine_names())
@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 3), (2, 3), (3, 3), (2, 5), (4, 4), (6, 7)])
@pytest.mark.parametrize("options", [
    {"cell": "rnn"}, {"cell": "lstm", "lengths": True}, {"cell": "gru", "layers": 2},
], ids=str)  # fmt: skip
def test_dropped_terms_added_back_are_the_full_gradient(options, k1, k2, engine):
    p = problem(T=6, engine=engine, **options)
    p.Y[:] = np.abs(p.Y)  # a target at every step of every sequence
    if p.lengths is not None:
        p.Y[np.arange(6) >= p.lengths[:, None]] = -1
    found = un.truncated_gradients(p.net, p.X, p.Y, k1, k2, p.state, p.lengths)
    loss, final, full = p.net.loss_state_and_gradients(*p.arguments)
    assert_close(found.loss, loss, 13)
    for name, value in final.items():
        assert_close(found.state[name], value, 13)
    kept = dict.fromkeys(full, 0.0)
    dropped = dict(kept)
    for s, t, shares in _terms(p):
        for name in full:
            prefix, dot, own = name.rpartition(".")
            share = shares[f"{prefix}{dot}d{own}"]
            if t > s:
                assert not share.any(), "nothing goes back from the future"
            side = kept if found.truncation.keeps(s, t) else dropped
            side[name] = side[name] + share
    for name, gradient in full.items():
        assert_close(found.gradients[name], kept[name], 11)
        assert_close(kept[name] + dropped[name], gradient, 11)
        recurrent = "W_" in name and name.endswith("a") and name != "W_ya"
        if recurrent and k2 < 5 and p.lengths is None:
            assert np.abs(dropped[name]).max() > 1e-6 * np.abs(gradient).max(), (
                "something is dropped"
            )


def test_what_is_kept_is_what_is_said():
    cut = Truncation(2, 3, 5)
    kept = [(s, t) for s, t in itertools.product(range(5), range(5)) if cut.keeps(s, t)]
    assert kept == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 1),
        (2, 2),
        (3, 1),
        (3, 2),
        (3, 3),
        (4, 2),
        (4, 3),
        (4, 4),
    ]
    assert "keeps 11 of 15 terms" in str(cut)
    assert "the 4 others are dropped" in str(cut)


def test_as_many_steps_as_there_are_is_the_full_gradient():
    p = problem("lstm")
    _, full = p.net.loss_and_gradients(*p.arguments)
    for k1, k2 in ((4, 4), (1, 4), (3, 99)):
        found = un.truncated_gradients(p.net, p.X, p.Y, k1, k2, p.state)
        for name, gradient in full.items():
            assert_close(found.gradients[name], gradient, 13)


def test_equal_windows_are_training_with_the_state_carried():
    """k1 = k2: each window goes back to its own start, as if the state had come from nowhere."""
    p = problem("gru", T=9, output="linear")
    found = un.truncated_gradients(p.net, p.X, p.Y, 3, 3, p.state, reduction="sum")
    state, total = p.state, 0.0
    for t in range(0, 9, 3):
        _, state, gradients = p.net.loss_state_and_gradients(
            p.X[:, :, t : t + 3], p.Y[:, :, t : t + 3], state, reduction="sum"
        )
        total = total + gradients["W_ca"]
    assert_close(found.gradients["W_ca"], total, 13)


@pytest.mark.parametrize(("k1", "k2", "words"), [
    (0, 3, "k1 is 0"), (2, 1, "k2 is 1: expected at least k1 = 2"), (1.5, 3, "k1 is 1.5"),
])  # fmt: skip
def test_what_makes_no_sense_is_said(k1, k2, words):
    p = problem()
    with pytest.raises(un.UnrolledError, match=words):
        un.truncated_gradients(p.net, p.X, p.Y, k1, k2)
    both = problem(bidirectional=True)
    with pytest.raises(un.UnrolledError, match="two directions"):
        un.truncated_gradients(both.net, both.X, both.Y, 2, 3)
