"""The estimators: scikit-learn's own checks, and sequences, which these do not know."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import unrolled as un
from unrolled import SequenceClassifier, SequenceRegressor
from unrolled.interop.sequences import steps_of

FAST = {"cell": "gru", "n_a": 16, "epochs": 20, "batch": 16, "learning_rate": 0.02}
_STEPS = "the columns of a 2-D array are steps, of which there may be any number"
EXPECTED = {
    "check_n_features_in": f"n_features_in_ is that of a step: {_STEPS}",
    "check_n_features_in_after_fitting": _STEPS,
    "check_estimators_empty_data_messages": "a row without columns is a sequence without a step",
}
FAILS = {
    "SequenceClassifier": EXPECTED | {"check_classifiers_train": f"it predicts X.T: {_STEPS}"},
    "SequenceRegressor": EXPECTED,
}


# In float64: in float32 a prediction differs in the last digits with how many are made at once.
@parametrize_with_checks(
    [
        SequenceClassifier(**FAST | {"n_a": 8, "epochs": 10}),
        SequenceRegressor(**FAST, dtype="float64"),
    ],
    expected_failed_checks=lambda estimator: FAILS[type(estimator).__name__],
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def _sequences(count=24, n_x=2, longest=7, seed=0):
    """Sequences of 1 to `longest` steps, whose class is the sign of their first step."""
    random = np.random.default_rng(seed)
    sequences = [random.normal(3, 2, (random.integers(1, longest + 1), n_x)) for _ in range(count)]
    return sequences, np.array(["low", "high"])[[int(s[0, 0] > 3) for s in sequences]]


def _padded(sequences):
    padded = np.full((len(sequences), max(map(len, sequences)), sequences[0].shape[1]), np.nan)
    for k, sequence in enumerate(sequences):
        padded[k, : len(sequence)] = sequence
    return padded


def _same(a, b):
    return a.tobytes() == b.tobytes()


def test_a_list_and_a_padded_array_give_the_same_bytes():
    X, y = _sequences()
    objects = np.empty(len(X), object)
    objects[:] = X
    forms = [X, _padded(X), objects, [x.tolist() for x in X], list(_padded(X))]
    fitted = [SequenceClassifier(n_a=4, epochs=2, random_state=0).fit(form, y) for form in forms]
    expected = fitted[0].predict_proba(X)
    for estimator, form in zip(fitted, forms, strict=True):
        assert _same(estimator.predict_proba(form), expected)


def test_one_feature_needs_no_axis():
    X, y = [x[:, 0] for x in _sequences()[0]], _sequences()[1]
    narrow = SequenceClassifier(n_a=4, epochs=2, random_state=0).fit(X, y)
    wide = clone(narrow).fit([x[:, None] for x in X], y)
    assert narrow.n_features_in_ == 1
    assert _same(narrow.predict_proba(X), wide.predict_proba(_padded([x[:, None] for x in X])))


@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True, "cell": "gru"}])
def test_predictions_are_the_networks(options):
    """By hand: each sequence alone through the network, with what is taken and divided by."""
    X, y = _sequences()
    estimator = SequenceClassifier(n_a=4, epochs=2, dtype="float64", random_state=0, **options)
    proba = estimator.fit(X, y).predict_proba(X)
    steps = np.concatenate(X)
    for sequence, found in zip(X, proba, strict=True):
        standard = ((sequence - steps.mean(axis=0)) / steps.std(axis=0)).T[:, None, :]
        run = estimator.net_.forward(standard, many_to_one=True)
        assert np.allclose(found, run["y_hat"][:, 0, -1], rtol=1e-12)
    assert list(estimator.classes_) == ["high", "low"]
    assert (estimator.predict(X) == estimator.classes_[proba.argmax(axis=1)]).all()


def test_a_regressor_gives_back_the_targets_own_unit():
    X, _ = _sequences()
    Y = np.array([[1e3 + 50 * x.mean(), x[0, 0]] for x in X])
    estimator = SequenceRegressor(n_a=4, epochs=2, dtype="float64", random_state=0).fit(X, Y)
    standard = ((X[3] - estimator.inputs_.mean) / estimator.inputs_.scale).T[:, None, :]
    by_hand = estimator.net_.forward(standard)["y_hat"][:, 0, -1] * Y.std(axis=0) + Y.mean(axis=0)
    assert np.allclose(estimator.predict(X)[3], by_hand, rtol=1e-12)
    assert estimator.predict(X).shape == Y.shape
    assert clone(estimator).fit(X, Y[:, 0]).predict(X).shape == (len(X),)


def test_digits_are_read():
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(digits.images, digits.target, random_state=0)
    estimator = SequenceClassifier(epochs=10, random_state=0).fit(X, y)
    assert estimator.score(X_test, y_test) > 0.9, (
        "by chance 0.1; with the 50 epochs of default 0.97"
    )
    proba = estimator.predict_proba(X_test)
    assert np.allclose(proba.sum(axis=1), 1, rtol=1e-14, atol=0)
    assert log_loss(y_test, proba) < 0.4 < np.log(10)


def test_a_mean_is_learned():
    random = np.random.default_rng(0)
    X = [random.standard_normal(random.integers(3, 9)) for _ in range(300)]
    y = [100 * x.mean() for x in X]
    kept, held = train_test_split(list(zip(X, y, strict=True)), random_state=0)
    estimator = SequenceRegressor(**FAST, random_state=0).fit(*map(list, zip(*kept, strict=True)))
    assert estimator.score(*map(list, zip(*held, strict=True))) > 0.85


def test_texts_are_read_by_character():
    words = ["smith", "olsen", "o'neil", "jansen", "o'hara", "hansen", "o'brien", "larsen"] * 4
    is_irish = [word.startswith("o'") for word in words]
    estimator = SequenceClassifier(**FAST, random_state=0).fit(words, is_irish)
    assert estimator.classes_.dtype == bool
    assert estimator.n_features_in_ == len(set("".join(words)))
    assert estimator.score(words, is_irish) == 1
    assert estimator.predict(np.array(["o'ren", "lars"])).tolist() == [True, False]
    assert _same(estimator.predict_proba(np.array(words, object)), estimator.predict_proba(words))
    with pytest.raises(un.UnrolledError, match=r"'é' \(sequence 1, step 2\) was not in fit"):
        estimator.predict(["hansen", "ané"])
    with pytest.raises(un.UnrolledError, match="X is numbers: expected texts"):
        estimator.predict([[1.0, 2.0]])


def test_longer_and_shorter_sequences_are_predicted_in_their_order():
    X, y = _sequences(longest=4)
    estimator = SequenceClassifier(n_a=4, epochs=2, batch=2, random_state=0).fit(X, y)
    other = _sequences(count=50, longest=30, seed=1)[0]
    alone = np.concatenate([estimator.predict_proba([sequence]) for sequence in other])
    assert np.allclose(estimator.predict_proba(other), alone, rtol=1e-5)


def test_the_same_random_state_gives_the_same_bytes():
    X, y = _sequences()
    estimator = SequenceClassifier(n_a=4, layers=2, dropout=0.3, epochs=3, random_state=7)
    first, again, other = (
        clone(e).fit(X, y).predict_proba(X)
        for e in (estimator, estimator, clone(estimator).set_params(random_state=8))
    )
    assert _same(first, again)
    assert not _same(first, other)
    drawn = [clone(estimator).set_params(random_state=np.random.RandomState(k)) for k in (1, 1, 2)]
    first, again, other = (e.fit(X, y).predict_proba(X) for e in drawn)
    assert _same(first, again)
    assert not _same(first, other)


def test_everything_that_is_drawn_has_the_random_states_seed(monkeypatch):
    seeds = []

    def noted(net, data, **options):
        seeds.append((net.seed, data.seed, options["seed"]))
        return un.train(net, data, **options)

    monkeypatch.setattr("unrolled.interop.scikit_learn.train", noted)
    for k in (0, 1):
        SequenceClassifier(n_a=2, steps=1, random_state=k).fit(*_sequences())
    assert [len(set(drawn)) for drawn in seeds] == [1, 1]
    assert seeds[0] != seeds[1]


def test_what_is_held_back_ends_the_training():
    """Noise cannot be learned: the loss on what is held back soon only rises."""
    random = np.random.default_rng(0)
    X, y = random.standard_normal((60, 5, 3)), random.integers(0, 2, 60)
    estimator = SequenceClassifier(
        epochs=200, validation=0.25, patience=3, schedule="constant", random_state=0
    ).fit(X, y)
    history = estimator.history_
    losses = [u.validation_loss for u in history.updates if u.validation_loss is not None]
    assert history.ended_by == "patience"
    assert estimator.n_iter_ == len(losses) < 200, "they are looked at after each pass"
    assert losses.index(min(losses)) == len(losses) - 4
    assert history.best_loss == min(losses)


def test_scale_is_of_what_is_learned_from():
    """In held-back sequences, the numbers may be of any size."""
    X, y = _sequences(count=20)
    estimator = SequenceClassifier(n_a=4, steps=1, validation=0.5, random_state=0).fit(X, y)
    means = [np.concatenate(X).mean(axis=0), estimator.inputs_.mean]
    assert not np.allclose(*means)
    assert np.allclose(clone(estimator).set_params(validation=0).fit(X, y).inputs_.mean, means[0])


def test_what_rounding_left_of_a_constant_is_not_divided_by():
    X = np.full((10, 7, 2), 0.1)
    X[:, :, 1] = np.arange(10)[:, None]
    estimator = SequenceRegressor(n_a=4, epochs=1).fit(X, np.arange(10.0))
    assert X[:, :, 0].std() > 0, "the mean of many 0.1 is rounded"
    assert estimator.inputs_.scale[0] == 1


def test_pipelines():
    X, y = _sequences()
    classifier = SequenceClassifier(n_a=4, epochs=2, random_state=0)
    of_lists = make_pipeline(FunctionTransformer(lambda X: [x[::-1] for x in X]), classifier)
    turned = clone(classifier).fit([x[::-1] for x in X], y)
    assert _same(of_lists.fit(X, y).predict_proba(X), turned.predict_proba([x[::-1] for x in X]))
    flat = _padded([x[:, :1] for x in X])[:, :, 0]
    of_arrays = make_pipeline(StandardScaler(), classifier).fit(flat, y)
    assert of_arrays.predict(flat).shape == (len(X),)
    assert "SequenceClassifier" in of_arrays._repr_html_()


def test_cross_validation_and_grid_search():
    X, y = _sequences(count=40)
    classifier = SequenceClassifier(epochs=2, random_state=0)
    assert cross_val_score(classifier, X, y, cv=3).shape == (3,)
    grid = {"n_a": [3, 5], "cell": ["rnn", "gru"], "learning_rate": [0.01]}
    searches = [
        GridSearchCV(classifier, grid, cv=2, n_jobs=jobs, error_score="raise").fit(X, y)
        for jobs in (1, 2)
    ]
    assert searches[0].best_estimator_.net_.sizes["n_a"] == searches[0].best_params_["n_a"]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert (scores[0] == scores[1]).all(), "another process finds the same"
    regressor = GridSearchCV(SequenceRegressor(epochs=1), {"n_a": [3]}, cv=2)
    assert regressor.fit(_padded(X), np.arange(40.0)).predict(X).shape == (40,)


def test_pickle_and_joblib(tmp_path):
    X, y = _sequences()
    estimator = SequenceClassifier(n_a=4, epochs=2, random_state=0).fit(X, y)
    expected = estimator.predict_proba(X)
    joblib.dump(estimator, tmp_path / "estimator")
    mapped = joblib.load(tmp_path / "estimator", mmap_mode="r")
    for other in (pickle.loads(pickle.dumps(estimator)), mapped):
        assert _same(other.predict_proba(X), expected)
        assert other.get_params() == estimator.get_params()
        un.train(other.net_, (X[0].T[:, None], np.array([0])), steps=1)  # it can be gone on with


def test_a_failed_fit_leaves_what_was_there():
    X, _ = _sequences()
    y = np.arange(len(X))
    estimator = SequenceRegressor(n_a=4, epochs=2, random_state=0).fit(X, y)
    before = estimator.predict(X)
    with pytest.raises(un.UnrolledError, match="the loss is not finite"):
        estimator.set_params(optimiser="sgd", learning_rate=1e30).fit([x[:, :1] for x in X], -y)
    assert _same(estimator.predict(X), before)


NUMBERS = np.arange(12.0).reshape(3, 2, 2)


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (NUMBERS[0, 0], r"X has shape \(2,\): expected a list of sequences.* Reshape your data"),
        (NUMBERS[..., None], r"X has shape \(3, 2, 2, 1\): expected a list"),
        ("abc", "X is a str: expected a list"),
        (np.ma.array(NUMBERS), "X is a MaskedArray: expected"),
        ([], "X has no sequence"),
        (NUMBERS[:0], "no sequence"),
        (["ab", [1.0]], "sequence 1 is list, and others are texts"),
        ([[1.0], "ab"], "sequence 0 is list, and others are texts"),
        (["ab", ""], "sequence 1 has no step: expected at least one"),
        ([NUMBERS[0], NUMBERS[1, :0]], "sequence 1 has no step"),
        ([NUMBERS[0], NUMBERS[1, :, :1]], "sequence 1 has 1 features: expected n_x = 2, as seq"),
        ([NUMBERS[0], NUMBERS], r"sequence 1 has shape \(3, 2, 2\)"),
        ([[1.0], [[1.0], [2.0, 3.0]]], "sequence 1 cannot be read as numbers"),
        ([["a", "b"]], "sequence 0 is <U1: expected"),
        (NUMBERS * 1j, "X is complex128, expected real numbers"),
        (np.where(NUMBERS == 1, np.nan, NUMBERS), "NaN at sequence 0, step 0, feature 1"),
        (np.where(NUMBERS < 2, np.nan, NUMBERS), "NaN at sequence 0, step 0, feature 0"),
        (np.where(NUMBERS == 11, np.inf, NUMBERS), "infinity .* at sequence 2, step 1, feature 1"),
        (np.where(NUMBERS < 8, np.nan, NUMBERS), "sequence 0 has no step"),
    ],
)
def test_sequences_that_make_no_sense(X, said):
    with pytest.raises(un.UnrolledError, match=said):
        steps_of(X)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cell": "elman"}, "cell 'elman' is not known"),
        ({"optimiser": "rmsprop"}, "optimiser is 'rmsprop': expected 'adam' or 'sgd'"),
        ({"momentum": 0.9}, "momentum is 0.9: expected 0 with optimiser 'adam'"),
        ({"batch": 0}, "batch is 0: expected a whole number from 1"),
        ({"standardise": "yes"}, "standardise is 'yes': expected True or False"),
        ({"validation": 1}, "validation is 1: expected a number from 0 to below 1"),
        ({"epochs": None}, "no end is said"),
        ({"random_state": "a"}, "'a' cannot be used to seed"),
    ],
)
def test_parameters_are_looked_at_in_fit(options, said):
    estimator = SequenceRegressor(**options)
    with pytest.raises(un.UnrolledError, match=said):
        estimator.fit(NUMBERS, [1.0, 2.0, 3.0])


def test_targets_that_make_no_sense():
    with pytest.raises(
        un.UnrolledError, match="y has one class, 'a': expected two classes or more"
    ):
        SequenceClassifier().fit(NUMBERS, ["a", "a", "a"])
    with pytest.raises(un.UnrolledError, match="X has 3 sequences, and y 2 targets"):
        SequenceRegressor().fit(NUMBERS, [1.0, 2.0])
    with pytest.raises(
        un.UnrolledError, match="X has 1 features a step: expected n_x = 2, as in fit"
    ):
        SequenceRegressor(steps=1).fit(NUMBERS, [1.0, 2.0, 3.0]).predict(NUMBERS[:, :, :1])


def _python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_scikit_learn_is_asked_for_only_when_it_is_used():
    run = _python("import sys, unrolled; assert 'sklearn' not in sys.modules; dir(unrolled)")
    assert run.returncode == 0, run.stderr
    assert {"SequenceClassifier", "SequenceRegressor"} <= set(dir(un))
    without = "import sys; sys.modules['sklearn'] = None; import unrolled; "
    run = _python(without + "assert 'SequenceClassifier' not in dir(unrolled); unrolled.Sequence")
    assert run.stderr.endswith("module 'unrolled' has no attribute 'Sequence'\n")
    run = _python(without + "from unrolled import SequenceRegressor")
    said = "UnrolledError: SequenceRegressor needs scikit-learn: pip install 'unrolled[data]'\n"
    assert run.stderr.endswith(said)
