"""Bad input: one sentence that names the quantity, what came and what was expected."""

import numpy as np
import pytest
from problems import problem

import unrolled as un

P = problem("lstm")
EYE = np.eye(2)[:, np.zeros((7, 4), int)]


def _with(array, index, value):
    changed = np.array(array)
    changed[index] = value
    return changed


def _refusal(function, *arguments, **options):
    with pytest.raises(un.UnrolledError) as refusal:
        function(*arguments, **options)
    sentence = str(refusal.value)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(("X", "words"), [
    (np.ones((4, 7, 4)), ["X has shape (4, 7, 4)", "(n_x, m, T) = (3, m, T)", "features in"]),
    (np.ones((7, 4, 3)), ["X has shape (7, 4, 3)", "features come first", "X.transpose(2, 0, 1)"]),
    (np.ones((3, 4)), ["X has shape (3, 4)", "X[:, None, :]", "labels (m, T) are integers"]),
    (np.ones(3), ["X has shape (3,)", "(n_x, m, T)"]),
    (np.ones((3, 0, 4)), ["m is 0"]),
    (np.ones((3, 7, 0)), ["T is 0"]),
    (_with(P.X, (1, 2, 3), np.nan), ["X is nan at feature 1, sequence 2, step 3", "finite"]),
    (_with(P.X, (0, 0, 0), -np.inf), ["X is -inf at feature 0, sequence 0, step 0"]),
    (P.X + 0j, ["X is complex128", "real numbers"]),
    (P.X > 0, ["X is bool"]),
    (P.X.astype(object), ["X is object"]),
    (np.full((3, 7, 4), "a"), ["X is <U1"]),
    ([[1.0, 2.0], [3.0]], ["X cannot be read as an array"]),
    (None, ["X is None"]),
    (np.ma.masked_array(P.X, P.X > 0), ["X is a masked array"]),
    (np.ones((3, 7, 4), int), ["integers are labels (m, T)", "X.astype(float)"]),
    (_with(np.zeros((7, 4), int), (5, 1), 3), ["label 3 at sequence 5, step 1", "expected 0 to 2"]),
    (_with(np.zeros((7, 4), int), (5, 1), -1), ["label -1", "expected 0 to 2"]),
    (np.zeros((0, 4), int), ["m is 0"]),
    (np.zeros(4, int), ["X has shape (4,), expected (m, T)"]),
])  # fmt: skip
def test_inputs(X, words):
    sentence = _refusal(P.net.forward, X)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(("Y", "words"), [
    (np.zeros((4, 7), int), ["Y has shape (4, 7)", "(m, T) = (7, 4)"]),
    (np.zeros((2, 7, 4), int), ["integers are labels (m, T)", "Y.astype(float)"]),
    (_with(P.Y, (3, 2), 2), ["Y has the label 2 at sequence 3, step 2", "0 to 1", "−1: no target"]),
    (_with(P.Y, (3, 2), -2), ["label -2"]),
    (np.full((7, 4), -1), ["Y has no target"]),
    (np.zeros((2, 7, 4)), ["Y has no target"]),
    (np.zeros((2, 7), int), ["Y has shape (2, 7)", "integers are labels (m, T)", "Y.astype(float)"]),
    (np.zeros(6, int), ["Y has shape (6,), expected (m,) = (7,)"]),
    (np.zeros((7, 4)), ["that of labels", "float64", "Y.astype(int)"]),
    (_with(EYE, (slice(None), 6, 2), 1.0), ["Y is not one-hot at sequence 6, step 2", "[1. 1.]"]),
    (_with(EYE, (slice(None), 6, 2), 0.5), ["not one-hot", "[0.5 0.5]"]),
    (_with(EYE, (0, 0, 0), 2.0), ["not one-hot at sequence 0, step 0"]),
    (_with(EYE, (1, 0, 0), np.nan), ["Y is nan at feature 1, sequence 0, step 0"]),
    (EYE.transpose(2, 1, 0), ["Y has shape (4, 7, 2)", "(n_y, m, T) = (2, 7, 4)"]),
    (EYE[:, :, :3], ["Y has shape (2, 7, 3)"]),
    (EYE > 0, ["Y is bool"]),
    (np.float64(1.0), ["Y has shape ()"]),
    (None, ["Y is None", "labels (m, T)"]),
])  # fmt: skip
def test_targets(Y, words):
    sentence = _refusal(P.net.loss_and_gradients, P.X, Y)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_labels_go_with_softmax(output):
    p = problem("rnn", output=output)
    assert "output 'softmax'" in _refusal(p.net.loss, p.X, np.zeros((7, 4), int))


def test_cross_entropy_of_a_sigmoid_wants_0_to_1():
    p = problem("rnn", output="sigmoid")
    assert "from 0.1 to 1.1" in _refusal(
        p.net.loss, p.X, np.linspace(0.1, 1.1, 56).reshape(2, 7, 4)
    )


@pytest.mark.parametrize("dtype", [int, float])
def test_what_could_be_read_both_ways_is_refused(dtype):
    """n_y = m = T, and every column is one-hot: labels of all steps, or columns of the last one."""
    p = problem("rnn", n_y=3, m=3, T=3)
    Y = np.eye(3, dtype=dtype)
    assert "read both ways" in _refusal(p.net.loss, p.X, Y)


def test_one_hot_rows_and_integer_inputs_that_could_be_columns_are_refused():
    p = problem("rnn", n_y=4)
    rows = np.eye(4, dtype=int)[np.arange(7) % 4]
    assert "one-hot rows (m, n_y)" in _refusal(p.net.loss, p.X, rows)
    assert "one-hot columns (n_x, m)" in _refusal(p.net.forward, np.eye(3, dtype=int))
    p.net.forward(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]))  # not one-hot either way


def test_labels_that_are_not_one_hot_are_labels_though_sizes_are_equal():
    p = problem("rnn", n_y=3, m=3, T=3)
    Y = np.array([[0, 1, 2], [2, 2, 0], [1, 1, 1]])
    one_hot = np.eye(3)[:, Y]
    assert p.net.loss(p.X, Y) == p.net.loss(p.X, one_hot)


def test_one_sequence_of_one_step_is_a_label():
    p = problem("rnn", n_y=2, m=1, T=1)
    assert p.net.loss(p.X, np.array([[1]])) == p.net.loss(p.X, np.array([1]))


@pytest.mark.parametrize(("state", "words"), [
    (np.zeros((7, 5)), ["state a has shape (7, 5), expected (n_a, m) = (5, 7): hidden units"]),
    ({"c": np.zeros((5, 6))}, ["state c has shape (5, 6)"]),
    ({"h": np.zeros((5, 7))}, ["state 'h'", "cell lstm has 'a', 'c'"]),
    ({"a": np.full((5, 7), np.nan)}, ["state a is nan at unit 0, sequence 0"]),
    ("zeros", ["state a is <U5"]),
    ((np.zeros((5, 7)), np.zeros((5, 7))), ["state is a tuple: expected {'a': …, 'c': …}"]),
])  # fmt: skip
def test_states(state, words):
    sentence = _refusal(P.net.forward, P.X, state)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(("change", "words"), [
    ({"W_fa": np.zeros((5, 3))}, ["parameter W_fa has shape (5, 3)", "(n_a, n_a) = (5, 5)"]),
    ({"W_fx": np.zeros((3, 5))}, ["parameter W_fx has shape (3, 5)", "(n_a, n_x) = (5, 3)"]),
    ({"b_f": np.zeros(5)}, ["parameter b_f has shape (5,)", "(n_a, 1) = (5, 1)"]),
    ({"b_f": np.zeros((5, 1), "float32")}, ["parameter b_f is float32", "float64"]),
    ({"b_f": 0.0}, ["parameter b_f is float"]),
    ({"b_f": np.ma.zeros((5, 1))}, ["parameter b_f is MaskedArray"]),
    ({"W_aa": np.zeros((5, 5))}, ["parameter W_aa is not one of this network's"]),
    ({"W_fa": np.full((5, 5), np.inf)}, ["parameter W_fa is inf at unit 0, unit 0"]),
])  # fmt: skip
def test_parameters(change, words):
    net = P.net.astype("float64")
    net.parameters |= change
    sentence = _refusal(net.forward, P.X)
    for word in words:
        assert word in sentence


def test_a_parameter_that_is_gone():
    net = P.net.astype("float64")
    del net.parameters["b_o"]
    assert "parameter b_o is missing" in _refusal(net.forward, P.X)


@pytest.mark.parametrize(("upstream", "words"), [
    ({"h": P.X}, ["'h'", "'y_hat', 'z_y', 'a', 'c', 'state'"]),
    ({"a": np.zeros((5, 7, 3))}, ["upstream gradient da has shape (5, 7, 3)", "(5, 7, 4)"]),
    ({"state": {"c": np.zeros((5, 6))}}, ["upstream state c has shape (5, 6)"]),
    ({"y_hat": np.full((2, 7, 4), np.nan)}, ["dy_hat is nan"]),
    (np.zeros((5, 7, 4)), ["ndarray", "expected a dictionary"]),
])  # fmt: skip
def test_upstream(upstream, words):
    sentence = _refusal(P.net.backward, P.net.forward(P.X), upstream)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(("settings", "words"), [
    ({"n_a": 0}, ["n_a (hidden units) is 0"]),
    ({"n_x": -1}, ["n_x (features in) is -1"]),
    ({"n_y": 2.0}, ["n_y (features out) is 2.0"]),
    ({"n_a": True}, ["n_a (hidden units) is True"]),
    ({"cell": "elman"}, ["cell 'elman' is not known", "gru, gru_reset_after, lstm, rnn"]),
    ({"cell": "nowhere/cell.py"}, ["is not there"]),
    ({"activation": "gelu"}, ["activation 'gelu'", "'tanh', 'relu'"]),
    ({"cell": "lstm", "activation": "relu"}, ["cell lstm has no choice of activation"]),
    ({"output": "tanh"}, ["output 'tanh'", "'softmax', 'sigmoid', 'linear'"]),
    ({"output": "linear", "loss": "cross_entropy"}, ["loss 'cross_entropy'", "'linear'"]),
    ({"loss": "hinge"}, ["loss 'hinge'"]),
    ({"dtype": "float16"}, ["dtype is 'float16'"]),
    ({"dtype": "complex128"}, ["dtype is 'complex128'"]),
    ({"dtype": "nonsense"}, ["dtype is 'nonsense'"]),
    ({"dtype": None}, ["dtype is None"]),
    ({"dtype": "f8,,"}, ["dtype is 'f8,,'"]),
    ({"dtype": 3}, ["dtype is 3"]),
    ({"output": ["softmax"]}, ["output ['softmax']"]),
    ({"loss": ["x"]}, ["loss ['x']"]),
    ({"activation": ""}, ["activation ''"]),
    ({"loss": ""}, ["loss ''"]),
    ({"seed": -1}, ["seed is -1"]),
    ({"seed": None}, ["seed is None"]),
    ({"engine": "warp"}, ["engine 'warp'", "'reference'"]),
    ({"n_x": 10**30}, ["n_x (features in) is too large"]),
    ({"layers": 0}, ["layers is 0"]),
    ({"layers": 1.5}, ["layers is 1.5"]),
    ({"bidirectional": "yes"}, ["bidirectional is 'yes'"]),
    ({"embedding": 0}, ["n_e (features of the embedding) is 0"]),
    ({"dropout": 1.0}, ["dropout is 1.0", "from 0 to below 1"]),
    ({"dropout": None}, ["dropout is None"]),
])  # fmt: skip
def test_settings(settings, words):
    sentence = _refusal(un.Network, **({"n_x": 3, "n_a": 5, "n_y": 2} | settings))
    for word in words:
        assert word in sentence


def test_a_run_of_another_network():
    run = P.net.forward(P.X)
    for other in (problem("gru").net, problem("lstm", n_a=6).net):
        assert "not one of this network's" in _refusal(other.backward, run, {})
    assert "not one of this network's" in _refusal(P.net.backward, None, {})
    narrow = P.net.astype("float32")
    assert "not one of this network's" in _refusal(narrow.backward, run, {})


@pytest.mark.parametrize(
    "counts", [{"entries": 0}, {"entries": 2.5}, {"directions": -1}, {"seed": -1}]
)
def test_counts_of_a_gradient_check(counts):
    [name] = counts
    assert f"{name} is" in _refusal(un.gradient_check, P.net, P.X, P.Y, **counts)


def test_parameters_that_are_no_dictionary():
    net = P.net.astype("float64")
    net.parameters = None
    assert "parameters is NoneType" in _refusal(net.forward, P.X)


def test_reduction_and_lengths():
    assert "reduction is 'max'" in _refusal(P.net.loss, P.X, P.Y, reduction="max")
    assert "reduction is None" in _refusal(P.net.loss, P.X, P.Y, reduction=None)
    for lengths, words in (
        ([4] * 6, "lengths has shape (6,), expected (m,) = (7,)"),
        ([4] * 6 + [5], "lengths is 5 for sequence 6: expected 1 to T = 4 steps"),
        ([0] + [4] * 6, "lengths is 0 for sequence 0"),
        ([1.0] * 7, "lengths is float64: expected whole numbers"),
        (4, "lengths has shape ()"),
        ("four", "lengths is <U4"),
    ):
        assert words in _refusal(P.net.loss, P.X, P.Y, lengths=lengths)


def test_a_float32_network_says_when_a_number_does_not_fit():
    p = problem("rnn", dtype="float32")
    assert "X is inf at feature 0" in _refusal(p.net.forward, _with(p.X, (0, 0, 0), 1e300))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64"])
@pytest.mark.parametrize("last", [False, True])
def test_labels_of_any_integer_type(dtype, last):
    p = problem("rnn", last=last)
    Y = np.abs(p.Y)
    assert p.net.loss(p.X, Y.astype(dtype)) == p.net.loss(p.X, Y)


def test_anything_that_is_an_array_is_welcome():
    p = problem("rnn", labels=True)
    loss = p.net.loss(p.X, p.Y)
    assert p.net.loss(p.X.tolist(), p.Y.tolist()) == loss
    assert p.net.loss(p.X.astype("uint8"), p.Y.astype("int8")) == loss
    assert p.net.loss(np.asfortranarray(p.X), p.Y[::-1][::-1]) == loss
