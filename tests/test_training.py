"""Enough of training for the demo: text, windows, optimisers, the loop, sampling, the run folder."""

import csv
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import assert_close, problem

import unrolled as un
from unrolled.data.surnames import surnames
from unrolled.data.text import Vocabulary, stream_windows
from unrolled.training.loop import Metrics, train
from unrolled.training.optimisers import SGD, Adam, clip_by_norm
from unrolled.training.run_folder import RunFolder, running_mean
from unrolled.training.sampling import sample

TEXT = "the quick brown fox jumps over the lazy dog\n" * 20


def _network(cell="gru", n_a=8, dtype="float64", text=TEXT):
    vocabulary = Vocabulary(text)
    return un.Network(
        cell, n_x=len(vocabulary), n_a=n_a, n_y=len(vocabulary), dtype=dtype
    ), vocabulary


@given(st.text(min_size=1))
def test_decode_undoes_encode(text):
    vocabulary = Vocabulary(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary) == len(set(text))


def test_an_unknown_character_is_named():
    with pytest.raises(un.UnrolledError, match="character 'é' is not in the vocabulary"):
        Vocabulary("cab").encode("abcé")


@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 60))
def test_windows_follow_each_other(m, T, extra):
    labels = np.arange(m * T + 1 + extra)
    windows = list(itertools.islice(stream_windows(labels, m, T), 12))
    for X, Y, _ in windows:
        assert X.shape == Y.shape == (m, T)
        assert np.array_equal(Y, X + 1), "a target is the next character"
    for (before, _, _), (X, _, fresh) in itertools.pairwise(windows):
        if not fresh:
            assert np.array_equal(X[:, 0], before[:, -1] + 1), "a window goes on where one ended"
        else:
            assert X[0, 0] == 0
    assert windows[0][2]


def test_a_text_too_short_for_a_window():
    with pytest.raises(un.UnrolledError, match=r"20 characters: expected at least m · T \+ 1 = 21"):
        next(stream_windows(np.arange(20), 4, 5))
    assert next(stream_windows(np.arange(21), 4, 5))[0].shape == (4, 5)


def test_surnames_are_the_census():
    names = surnames()
    assert len(names) == len(set(names)) == 88799
    assert names[:3] == ["smith", "johnson", "williams"]
    assert set("".join(names)) == set("abcdefghijklmnopqrstuvwxyz")


def test_sgd_is_its_formula():
    parameters, gradients = {"W": np.array([[1.0, 2.0]])}, {"W": np.array([[10.0, -4.0]])}
    SGD(0.5).update(parameters, gradients)
    assert np.array_equal(parameters["W"], [[-4.0, 4.0]])


def test_adam_is_its_algorithm():
    """Against algorithm 1 of the paper, line by line, in Python's own numbers."""
    theta, m, v = 0.7, 0.0, 0.0
    parameters, adam = {"W": np.array([[0.7]])}, Adam(0.01, 0.8, 0.95, 1e-3)
    for t, g in enumerate([0.3, -1.2, 0.5, 2.0, 0.0], start=1):
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        theta -= 0.01 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.95**t)) + 1e-3)
        adam.update(parameters, {"W": np.array([[g]])})
        assert_close(parameters["W"], [[theta]], 14)


@pytest.mark.torch
def test_adam_is_pytorchs():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    ours = {"W": random.standard_normal((3, 4))}
    theirs = torch.tensor(ours["W"].copy(), requires_grad=True)
    adam, reference = Adam(0.01), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(20):
        g = random.standard_normal((3, 4))
        theirs.grad = torch.tensor(g)
        reference.step()
        adam.update(ours, {"W": g})
    assert_close(ours["W"], theirs.detach().numpy(), 13)


@given(st.floats(1e-3, 1e3))
def test_clipping_keeps_the_direction(limit):
    gradients = {"W": np.array([[3.0, 0.0]]), "b": np.array([[-4.0]])}
    assert clip_by_norm(gradients, limit) == 5.0
    assert math.isclose(
        math.hypot(3 * gradients["W"][0, 0] / 3, gradients["b"][0, 0]), min(limit, 5.0)
    )
    assert math.isclose(gradients["W"][0, 0] * -4, gradients["b"][0, 0] * 3)


def test_the_state_is_carried_and_fresh_ones_start_at_zero():
    net, vocabulary = _network()
    windows = itertools.islice(stream_windows(vocabulary.encode(TEXT), 2, 200), 3)
    windows = list(windows)
    assert [fresh for _, _, fresh in windows] == [True, False, True]
    expected, state = [], None
    for X, Y, fresh in windows:
        run = net.forward(X, None if fresh else state)
        expected.append(net.loss(X, Y, None if fresh else state))
        state = run.state
    found = [row.loss for row in train(net, windows, SGD(1e-300))]
    assert_close(found, expected, 15)


def test_training_lowers_the_loss_and_is_repeatable():
    def run():
        net, vocabulary = _network(dtype="float32")
        windows = itertools.islice(stream_windows(vocabulary.encode(TEXT), 4, 12), 80)
        rows = list(train(net, windows, Adam(0.02)))
        return net, rows

    (one, first), (other, second) = run(), run()
    assert first[0].loss == pytest.approx(math.log(28), rel=0.1)
    assert first[-1].loss < 1.2
    assert [r.loss for r in first] == [r.loss for r in second]
    for name, value in one.parameters.items():
        assert value.tobytes() == other.parameters[name].tobytes()
    assert [r.step for r in first] == list(range(1, 81))
    assert all(r.targets == 48 for r in first)


def test_the_loop_clips():
    net, vocabulary = _network()
    before = {name: value.copy() for name, value in net.parameters.items()}
    window = next(stream_windows(vocabulary.encode(TEXT), 2, 20))
    [row] = train(net, [window], SGD(1.0), clip=0.01)
    moved = math.sqrt(sum(np.sum((net.parameters[n] - v) ** 2) for n, v in before.items()))
    assert row.clipped
    assert row.gradient_norm > 0.01
    assert moved == pytest.approx(0.01, rel=1e-9)


@pytest.mark.parametrize("make", [
    lambda: SGD(0), lambda: SGD(-1.0), lambda: Adam(math.nan), lambda: SGD("a"), lambda: Adam(None),
    lambda: SGD(math.inf), lambda: Adam(beta1=2), lambda: Adam(beta2=1.0), lambda: Adam(epsilon=0),
    lambda: list(train(_network()[0], [], SGD(1.0), clip=None)),
    lambda: sample(*_network(), count=0), lambda: sample(*_network(), seed=-1),
    lambda: sample(*_network(), longest=0), lambda: sample(*_network(), temperature="a"),
    lambda: sample(un.Network("rnn", n_x=2, n_a=3, n_y=2, output="linear"), Vocabulary("ab")),
    lambda: sample(un.Network("rnn", n_x=3, n_a=3, n_y=2), Vocabulary("ab")),
    lambda: list(train(_network()[0], [], SGD(1.0), clip=0.0)),
    lambda: list(train(_network()[0], [], SGD(1.0), clip=math.nan)),
    lambda: next(stream_windows(np.arange(9), 0, 1)),
    lambda: next(stream_windows(np.arange(9), 1, 0)),
    lambda: sample(_network()[0], Vocabulary("ab"), prefix="a"),
])  # fmt: skip
def test_settings_that_make_no_sense(make):
    with pytest.raises(un.UnrolledError, match="expected"):
        make()


def test_the_smallest_temperature_takes_the_likeliest():
    net, vocabulary = _network()
    assert len(set(sample(net, vocabulary, 5, temperature=1e-310))) == 1


def test_a_loss_that_is_no_number_stops_and_keeps_the_parameters():
    p = problem("rnn", "relu", output="linear")
    p.net.parameters["W_aa"] *= 1e200
    before = {name: value.copy() for name, value in p.net.parameters.items()}
    with pytest.raises(un.UnrolledError, match="not finite at step 1: try a learning rate"):
        list(train(p.net, [(p.X, p.Y, True)], SGD(0.1)))
    for name, value in before.items():
        assert np.array_equal(value, p.net.parameters[name])


def test_samples_follow_the_seed_and_the_prefix():
    net, vocabulary = _network(n_a=24)
    windows = itertools.islice(stream_windows(vocabulary.encode(TEXT), 4, 22), 250)
    list(train(net, windows, Adam(0.02)))
    texts = sample(net, vocabulary, 3, prefix="\nthe quick b", temperature=0.1, longest=60)
    assert texts == ["rown fox jumps over the lazy dog"] * 3
    wild = sample(net, vocabulary, 3, prefix="\n", temperature=3.0, seed=1)
    assert wild == sample(net, vocabulary, 3, prefix="\n", temperature=3.0, seed=1)
    assert wild != sample(net, vocabulary, 3, prefix="\n", temperature=3.0, seed=2)
    assert all(len(t) <= 5 for t in sample(net, vocabulary, 9, longest=5))


def test_sampling_follows_the_probabilities():
    """Of a network whose logits are its output bias, characters come as often as softmax says."""
    net, vocabulary = _network(text="abc")
    for value in net.parameters.values():
        value[:] = 0
    net.parameters["b_y"][:, 0] = np.log([0.5, 0.3, 0.2])
    drawn = sample(net, vocabulary, 20000, prefix="a", stop="", longest=1, seed=4)
    shares = np.array([drawn.count(c) for c in "abc"]) / 20000
    assert np.abs(shares - [0.5, 0.3, 0.2]).max() < 4 * math.sqrt(0.25 / 20000)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_none(temperature):
    net, vocabulary = _network()
    with pytest.raises(un.UnrolledError, match="temperature is"):
        sample(net, vocabulary, temperature=temperature)


def test_the_run_folder_holds_what_other_tools_read(tmp_path):
    net, _ = _network()
    rows = [Metrics(k, 3.0 / k, 0.1, False, 48, 0.01) for k in range(1, 30)]
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.write_model(net)
    folder.write_metrics(rows)
    folder.write_samples({"before": ["a", "b"], "after": ["c"]})
    folder.write_curve(rows, 3.3, 0.2)
    folder.write_json("settings.json", {"ŷ": 1})
    with open(folder.path / "metrics.csv", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in read] == [row.loss for row in rows]
    assert json.loads((folder.path / "settings.json").read_text("utf-8")) == {"ŷ": 1}
    assert (folder.path / "samples.txt").read_text("utf-8") == "# before\na\nb\n\n# after\nc\n"
    assert (folder.path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert un.load(folder.path / "model.safetensors").settings == net.settings
    assert len(list(folder.path.iterdir())) == 5, "no temporary file is left"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(un.UnrolledError, match="is there already: name another folder"):
        RunFolder(tmp_path)
    with pytest.raises(un.UnrolledError, match="is there already"):
        RunFolder(tmp_path / "thesis.txt")
    with pytest.raises(un.UnrolledError, match="cannot be made"):
        RunFolder(tmp_path / "thesis.txt" / "run")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_running_mean_of_a_constant_is_the_constant():
    assert running_mean([2.5] * 7) == pytest.approx([2.5] * 7, rel=1e-12)
