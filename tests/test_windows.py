"""What a network is shown: every step once, in windows that go on where the one before ended."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import assert_close

import unrolled as un
from unrolled.data.windows import Drawn, Sequences, Stream, arrays, split_off
from unrolled.training.evaluation import mean_loss


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 60), st.booleans())
def test_a_stream_is_shown_once_and_in_order(m, T, L, values):
    if m > L:
        with pytest.raises(un.UnrolledError, match=f"the data have {L} steps: expected more than"):
            Stream(np.arange(L), np.arange(L) + 1, m, T)
        return
    X = np.arange(L)
    flat = np.stack([X, -X], axis=1).astype(float) if values else X
    stream = Stream(flat, flat + 1, m, T)
    windows = list(stream.windows(0))
    assert len(windows) == stream.updates
    shown = []
    for k, window in enumerate(windows):
        assert window.lengths is None
        assert (window.carried is None) == (k == 0)
        if k:
            assert np.array_equal(window.carried, np.arange(m))
        found = window.X[0] if values else window.X
        assert found.shape == (m, T if k + 1 < len(windows) else found.shape[1])
        assert np.array_equal(window.Y, window.X + 1)
        assert window.targets == found.size
        shown.append(found)
    whole = np.concatenate(shown, axis=1)
    assert np.array_equal(whole, X[: m * (L // m)].reshape(m, L // m))


@given(st.integers(2, 40), st.integers(1, 7), st.integers(0, 39))
def test_the_first_steps_may_only_bring_the_state_up(L, T, warm):
    X = np.arange(L)
    if warm >= L:
        with pytest.raises(un.UnrolledError, match="expected more than"):
            Stream(X, X, 1, T, warm)
        return
    windows = list(Stream(X, X, 1, T, warm).windows(3))
    assert np.array_equal(np.concatenate([w.X for w in windows], axis=1)[0], X)
    with_targets = [w.X[0] for w in windows if w.Y is not None]
    assert np.array_equal(np.concatenate(with_targets), X[warm:])


def _ragged(lengths, values=False):
    """Flat sequences whose steps are numbered one after the other."""
    X = np.arange(sum(lengths))
    starts = np.cumsum(lengths) - lengths
    return (np.stack([X, -X], axis=1).astype(float) if values else X), starts


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 6),
       st.none() | st.integers(1, 5), st.none() | st.integers(0, 3), st.booleans())  # fmt: skip
def test_sequences_are_shown_once_each_and_whole(lengths, m, T, seed, values):
    X, starts = _ragged(lengths, values)
    source = Sequences(X, X if values else X + 1, starts, lengths, m, T, seed=seed)
    shown, before = [], None
    for window in source.windows(0):
        ids = window.X[0] if values else window.X
        count = ids.shape[0]
        ends = np.full(count, ids.shape[1]) if window.lengths is None else window.lengths
        assert count <= m
        assert T is None or ids.shape[1] <= T
        assert window.targets == ends.sum()
        for k, end in enumerate(ends):
            if window.carried is None:
                shown.append(list(ids[k, :end]))
            else:
                assert before[window.carried[k]][-1] + 1 == ids[k, 0], "it goes on where it was"
                next(s for s in shown if s[-1] + 1 == ids[k, 0] and s[0] in starts
                     and ids[k, 0] not in starts).extend(ids[k, :end])  # fmt: skip
            if not values:
                assert np.array_equal(window.Y[k, :end], ids[k, :end] + 1)
                assert (window.Y[k, end:] == -1).all()
        before = [list(ids[k, :end]) for k, end in enumerate(ends)]
    expected = [list(range(s, s + n)) for s, n in zip(starts, lengths, strict=True)]
    assert sorted(map(list, shown)) == expected


def test_the_order_is_another_in_each_epoch_and_the_same_again():
    X, starts = _ragged([3] * 40)
    source = Sequences(X, X, starts, [3] * 40, 4, seed=1)

    def first(epoch):
        return [int(w.X[0, 0]) for w in source.windows(epoch)]

    assert first(0) == first(0)
    assert first(0) != first(1)
    assert first(0) != [
        int(w.X[0, 0]) for w in Sequences(X, X, starts, [3] * 40, 4, seed=2).windows(0)
    ]


@pytest.mark.parametrize("T", [None, 3])
@pytest.mark.parametrize("kind", ["labels", "values"])
def test_one_target_a_sequence_is_at_its_last_step(T, kind):
    lengths = [2, 7, 4, 5]
    X, starts = _ragged(lengths)
    X = X % 5
    net = un.Network("gru", n_x=5, n_a=4, n_y=3, output="softmax" if kind == "labels" else "linear")
    Y = np.array([0, 2, 1, 0]) if kind == "labels" else np.random.default_rng(0).random((4, 3))
    if T and kind == "values":
        with pytest.raises(un.UnrolledError, match="T is 3: sequences with one value each"):
            Sequences(X, Y, starts, lengths, 3, T, "sequence")
        return
    source = Sequences(X, Y, starts, lengths, 3, T, "sequence")
    expected = [
        net.loss(X[None, s : s + n], Y[k : k + 1] if kind == "labels" else Y[k][:, None])
        for k, (s, n) in enumerate(zip(starts, lengths, strict=True))
    ]
    assert_close(mean_loss(net, source), np.mean(expected), 13)
    assert sum(w.targets for w in source.windows(0)) == 4


@pytest.mark.parametrize("T", [1, 2, 5, 100])
def test_windows_do_not_change_the_loss(T):
    """However a stream or lines are cut, a network with the state carried says the same."""
    X = np.random.default_rng(3).integers(0, 5, 60)
    net = un.Network("lstm", n_x=5, n_a=6, n_y=5, layers=2)
    whole = net.loss(X[None, :-1], X[None, 1:])
    assert_close(mean_loss(net, Stream(X[:-1], X[1:], 1, T)), whole, 13)
    lengths = np.array([10, 3, 20, 7, 19])
    starts = np.cumsum(lengths) - lengths
    each = [net.loss(X[None, s : s + n], X[None, s + 1 : s + n + 1]) * n
            for s, n in zip(starts, lengths, strict=True)]  # fmt: skip
    source = Sequences(X[:-1], X[1:], starts, lengths, 3, T)
    assert_close(mean_loss(net, source), sum(each) / lengths.sum(), 13)


def test_two_directions_see_a_sequence_whole():
    net = un.Network("rnn", n_x=5, n_a=3, n_y=5, bidirectional=True)
    X = np.arange(40) % 5
    whole, cut = Stream(X, X, 2, 20), Stream(X, X, 2, 5)
    un.train(net, whole, steps=2)
    for source, validation in ((cut, None), (whole, cut)):
        with pytest.raises(
            un.UnrolledError, match="two directions and has to see a sequence whole"
        ):
            un.train(net, source, validation=validation, steps=5)


@pytest.mark.parametrize("kind", ["labels", "values", "last labels", "last values"])
def test_arrays_are_the_sequences_in_them(kind):
    random = np.random.default_rng(0)
    N, T, n_x, n_y = 7, 5, 3, 4
    lengths = random.integers(1, T + 1, N)
    labels = "labels" in kind
    X = random.integers(0, n_x, (N, T)) if labels else random.standard_normal((n_x, N, T))
    shape = (N,) if "last" in kind else (N, T)
    Y = random.integers(0, n_y, shape) if labels else random.standard_normal((n_y, *shape))
    net = un.Network("gru", n_x=n_x, n_a=5, n_y=n_y, output="softmax" if labels else "linear")
    for m in (1, 3, 50):
        assert_close(mean_loss(net, arrays(X, Y, lengths, m)), net.loss(X, Y, lengths=lengths), 13)
    assert_close(mean_loss(net, arrays(X, Y, m=2)), net.loss(X, Y), 13)


@pytest.mark.parametrize(("X", "Y", "lengths"), [
    (np.zeros((3, 4, 5)), np.zeros((2, 3, 5)), None), (np.zeros(3), np.zeros(3, int), None),
    (np.zeros((3, 4, 5)), np.zeros(3, int), None), (np.zeros((3, 0, 5)), np.zeros((2, 0)), None),
    (np.zeros((3, 4, 5)), np.zeros(4, int), [1, 2, 3]),
    (np.zeros((3, 4, 5)), np.zeros(4, int), [1, 2, 3, 6]),
    (np.zeros((3, 4, 5)), np.zeros(4, int), [1, 2, 3, 0]),
])  # fmt: skip
def test_arrays_that_do_not_fit(X, Y, lengths):
    with pytest.raises(un.UnrolledError, match=r"expected|whole numbers from 1"):
        arrays(X, Y, lengths)


def test_what_is_drawn_is_drawn_again():
    source = Drawn(
        lambda random, m: (random.integers(0, 9, (m, 4)), random.integers(0, 9, (m, 4))), 3, 5
    )
    windows = [list(source.windows(epoch)) for epoch in (0, 0, 1)]
    assert len(windows[0]) == 5
    first = [[w.X.tolist() for w in each] for each in windows]
    assert first[0] == first[1] != first[2]
    assert all(a != b for a, b in itertools.combinations(first[0] + first[2], 2))


@given(st.integers(1, 300), st.floats(0, 0.99), st.integers(0, 5))
def test_a_share_is_held_back_and_something_is_left(count, share, seed):
    kept, held = split_off(count, share, seed)
    assert sorted([*kept, *held]) == list(range(count))
    assert len(kept) >= 1
    assert len(held) == min(int(np.ceil(count * share)), count - 1)


@pytest.mark.parametrize("make", [
    lambda: Stream(np.arange(9), np.arange(9), 0, 1), lambda: Stream(np.arange(9), np.arange(9), 1, 0),
    lambda: Stream(np.arange(9), np.arange(9), 2, 3, warm=1), lambda: Drawn(None, 0),
    lambda: Sequences(np.arange(3), np.arange(3), [], [], 2),
    lambda: Sequences(np.arange(3), np.arange(3), [0], [3], 2, 0),
])  # fmt: skip
def test_windows_that_make_no_sense(make):
    with pytest.raises(un.UnrolledError, match="expected"):
        make()
