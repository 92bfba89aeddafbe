"""It really learns: against what is published, or what another model reaches on the same data.

docs/learning.md has more seeds and longer runs.
"""

import numpy as np
import pytest

import unrolled as un
from unrolled.training.tasks.loading import load_data


def _solves(update, training):
    return update.validation_loss is not None and 2 * update.validation_loss < 0.01


@pytest.mark.parametrize(("cell", "rate", "solved"), [
    ("lstm", 0.02, True), ("gru", 0.01, True), ("rnn", 0.01, False),
])  # fmt: skip
def test_adding_over_a_hundred_steps(cell, rate, solved):
    """Le, Jaitly and Hinton 2015: an LSTM solves T = 100, a plain tanh network stays at 1/6."""
    data = load_data("adding", length=100)
    net = data.network(cell, 32, dtype="float32")
    history = un.train(net, data, steps=2000 if solved else 1200, every=50, optimiser=un.Adam(rate),
                       callbacks=[_solves])  # fmt: skip
    assert (history.ended_by == "asked") == solved
    if solved:
        assert history.measures["mse"] < 0.01
        assert history.verdict[0].startswith("better than always saying 1")
    else:
        assert history.measures["mse"] > 0.15
        assert history.verdict[0].startswith("no better than always saying 1")


def test_digits_above_a_linear_classifier():
    """Of the same pixels, on the same held-out fifth; C chosen by cross-validation."""
    linear = pytest.importorskip("sklearn.linear_model")
    split = pytest.importorskip("sklearn.model_selection")
    data = load_data("digits", validation=0.2)
    X, Y = (np.concatenate([getattr(s, n) for s in (data.training, data.validation)]) for n in "XY")
    X, count = X.reshape(len(Y), 64), len(data.training)
    grid = split.GridSearchCV(linear.LogisticRegression(max_iter=5000), {"C": [0.1, 1, 10]}, cv=5)
    theirs = grid.fit(X[:count], Y[:count]).score(X[count:], Y[count:])
    net = data.network("gru", 64, dtype="float32")
    un.train(
        net, data.training, epochs=20, optimiser=un.Adam(0.01), schedule="cosine"
    )  # not chosen by
    ours = data.task.measures(net, data.validation)["accuracy"]  # what is held out
    assert 0.94 < theirs < ours


def test_names_below_a_trigram_model():
    """On the same held-back lines of surnames, which a trigram model of the others describes too."""
    data = load_data("names")
    net = data.network("gru", 64, dtype="float32")
    un.train(net, data.training, steps=600, optimiser=un.Adam(0.01), schedule="cosine")
    ours = data.task.measures(net, data.validation)["perplexity"]
    assert ours < 0.95 * data.references["a trigram model"]["perplexity"] < 10


def test_sunspots_below_what_was_before():
    data = load_data("sunspots")
    net = data.network("gru", 16, dtype="float64")
    un.train(net, data.training, steps=300, optimiser=un.Adam(0.01), schedule="cosine")
    ours = data.task.measures(net, data.validation)["rmse"]
    assert ours < 0.75 * data.references["the value before"]["rmse"]
