"""What a network has to beat, computed a second way: entry by entry, in plain Python."""

import collections
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.data.baselines import autoregression, majority, ngram_loss, persistence
from unrolled.data.synthetic import draw_adding, draw_copying
from unrolled.training.tasks.text import Text, _trigrams


def _witten_bell(training, held_back, n):
    """Chen and Goodman 1998, equation (6) and its interpolated form, row by row."""
    counts = [collections.Counter() for _ in range(3)]
    following = [collections.defaultdict(collections.Counter) for _ in range(3)]
    for row in training:
        for length in range(3):
            history = tuple(row[2 - length : 2])
            counts[length][history] += 1
            following[length][history][row[2]] += 1
    total = 0.0
    for row in held_back:
        p = 1 / n
        for length in range(3):
            history = tuple(row[2 - length : 2])
            if counts[length][history]:
                seen, kinds = following[length][history], len(following[length][history])
                p = (seen[row[2]] + kinds * p) / (counts[length][history] + kinds)
        total -= math.log(p)
    return total / len(held_back)


@given(st.integers(1, 6), st.integers(1, 200), st.integers(1, 50), st.integers(0, 9))
def test_the_trigram_model_is_witten_and_bells(n, N, M, seed):
    random = np.random.default_rng(seed)
    training, held_back = random.integers(0, n, (N, 3)), random.integers(0, n, (M, 3))
    expected = _witten_bell(training.tolist(), held_back.tolist(), n)
    assert ngram_loss(training, held_back, n) == pytest.approx(expected, rel=1e-12)


def test_its_probabilities_sum_to_one():
    random = np.random.default_rng(1)
    training = random.integers(0, 5, (80, 3))
    for history in ([0, 1], [4, 4], [2, 0]):
        rows = np.array([[*history, k] for k in range(5)])
        each = [math.exp(-ngram_loss(training, rows[k : k + 1], 5)) for k in range(5)]
        assert sum(each) == pytest.approx(1)


def test_a_line_begins_after_two_newlines():
    task = Text.of("ab\ncd", names=True)
    said = [task.vocabulary.decode(row) for row in _trigrams(task, "ab\ncd")]
    assert said == ["\n\na", "\nab", "ab\n", "\n\nc", "\ncd", "cd\n"]
    task = Text.of("abcd", names=False)
    assert [task.vocabulary.decode(row) for row in _trigrams(task, "abcd")] == ["aab", "abc", "bcd"]


def test_persistence_is_the_change():
    values = np.array([[1.0, 5], [2, 5], [4, 7], [4, 0]])
    assert persistence(values, np.array([0]), 2) == pytest.approx([(4 + 0) / 2])
    assert persistence(values, np.array([1, 0]), 3) == pytest.approx(
        [(0 + 4 + 49) / 3, (1 + 4 + 0) / 3]
    )


def test_a_linear_model_finds_a_linear_series():
    x = [1.0, 0.3]
    for _ in range(60):
        x.append(1.6 * x[-1] - 0.9 * x[-2] + 0.2)
    values = np.array(x)[:, None]
    assert autoregression(values, np.array([0]), 20, 2)[0] < 1e-25
    assert autoregression(values, np.array([0]), 20, 1)[0] > 1e-4


def test_a_linear_model_does_not_see_what_is_held_back():
    random = np.random.default_rng(0)
    values = random.standard_normal((80, 2))
    coefficients = np.linalg.lstsq(
        np.column_stack([values[1:-21], values[:-22], np.ones(58)]), values[2:-20], rcond=None
    )[0]
    wanted = [
        np.concatenate([values[t - 1], values[t - 2], [1.0]]) @ coefficients - values[t]
        for t in range(60, 80)
    ]
    assert np.allclose(
        autoregression(values, np.array([0, 1]), 20, 2), np.square(wanted).mean(axis=0)
    )


def test_majority():
    accuracy, loss = majority(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0]), 3)
    assert accuracy == 0.5
    assert loss == pytest.approx(-np.mean(np.log([4 / 7, 2 / 7, 1 / 7, 4 / 7])))


@pytest.mark.parametrize("T", [2, 3, 100])
def test_the_adding_problem_is_as_it_was_stated(T):
    X, Y = draw_adding(np.random.default_rng(0), 500, T)
    assert X.shape == (2, 500, T)
    assert (X[1].sum(axis=1) == 2).all()
    assert (X[1, :, : T // 2].sum(axis=1) == 1).all()
    assert ((X[0] >= 0) & (X[0] < 1)).all()
    assert np.allclose((X[0] * X[1]).sum(axis=1), Y[0])
    assert np.mean((Y - 1) ** 2) == pytest.approx(1 / 6, rel=0.15)


@pytest.mark.parametrize("T", [2, 7, 100])
def test_the_copy_task_is_as_it_was_stated(T):
    X, Y = draw_copying(np.random.default_rng(0), 50, T)
    assert X.shape == Y.shape == (50, T + 20)
    assert (X[:, :10] < 8).all()
    assert ((X == 9).sum(axis=1) == 1).all()
    assert (X[:, T + 9] == 9).all()
    assert (X[:, 10 : T + 9] == 8).all()
    assert (X[:, T + 10 :] == 8).all()
    assert (Y[:, : T + 10] == 8).all()
    assert np.array_equal(Y[:, -10:], X[:, :10])
