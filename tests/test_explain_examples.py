"""What `unrolled explain` is given: examples at hand, files, run folders; and the sentence if it cannot be used."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from cli import unrolled

import unrolled as un
from unrolled.errors import UnrolledError
from unrolled.explaining.examples import names, read_example
from unrolled.training.finished import read_run

PEEPHOLE = str(Path(__file__).with_name("peephole_lstm.py"))


def _file(folder, content, name="example.json"):
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_the_examples_at_hand():
    assert names() == ["saturated", "sequence", "small"]
    assert read_example("sequence").sizes == {"n_x": 3, "n_a": 4, "n_y": 2, "m": 2, "T": 5}
    saturated = read_example("saturated")
    assert saturated.value("loss", None)[0, 0] == pytest.approx(198.50000001523, rel=1e-13)
    for name in ("dW_aa", "dW_ax", "db_a", "da0"):
        assert not saturated.value(name, None).any()


@pytest.mark.parametrize("content", [
    {}, {"x": [[[1, 2, 3]], [[0, 1, 0]]]}, {"x": [1, 2]}, {"x": [[0, 2, 1]]}, {"y": [[0, 1, -1]]},
    {"parameters": {"W_aa": [[1, 2], [3, 4]], "b_a": [1, 2]}}, {"sizes": {"T": 1, "m": 1}}, {"cell": "lstm"},
    {"cell": PEEPHOLE}, {"output": "sigmoid"}, {"output": "linear"}, {"output": "softmax", "loss": "squared_error"},
    {"sizes": {"n_y": 5}, "reduction": "batch"}, {"labels": ["a", "b", "c"]}, {"x": [[[1e308, 1e308]]]},
])  # fmt: skip
def test_what_is_left_out_is_drawn(tmp_path, content):
    explanation = read_example(_file(tmp_path, content))
    assert len(explanation.moments) > 20
    again = read_example(_file(tmp_path, content))
    assert again.value("loss", None) == explanation.value("loss", None)  # always the same
    for name, value in content.get("parameters", {}).items():
        np.testing.assert_array_equal(explanation.value(name, None).ravel(), np.ravel(value))


WRONG = [
    ([1], "holds list: expected names with values"), (3, "holds int"), (None, "holds NoneType"),
    ({"x": [[1, 2], [3]]}, "x has rows of different lengths"), ({"x": "abc"}, "x is 'abc': expected an array"),
    ({"x": {"a": 1}}, "expected an array of numbers"), ({"x": [[True]]}, "expected an array of numbers"),
    ({"x": None}, "x is None"), ({"x": []}, "x is []"), ({"x": 3}, "x has shape (): expected (n_x, m, T)"),
    ({"x": [[[[1]]]]}, "x has shape (1, 1, 1, 1)"), ({"x": [[[math.nan]]]}, "X is nan at feature 0"),
    ({"x": [[[10**400]]]}, "expected an array of numbers"), ({"a0": [10**30, 1, 1, 1]}, "expected an array"),
    ({"parameters": {"W_aa": [[math.inf]]}}, "parameter W_aa is inf"),
    ({"sizes": {"n_a": 100_000}}, "make about 5e+10 numbers: expected at most 1e+07"),
    ({"sizes": {"T": 10**12}}, "expected at most 1e+07"), ({"x": [[2_000_000_000]]}, "expected at most 1e+07"),
    ({"sizes": {"T": -1}}, "T is -1"), ({"sizes": {"T": 2.5}}, "T is 2.5"), ({"sizes": {"T": True}}, "T is True"),
    ({"sizes": [1]}, "sizes is [1]"), ({"sizes": None}, "sizes is None"), ({"sizes": {"q": 1}}, "expected n_x, n_a"),
    ({"x": [[[1, 2]]], "parameters": {"W_ax": [[1, 2, 3]]}}, "x has shape (1, 1, 2): expected (3, 1, 2)"),
    ({"sizes": {"n_x": 3}, "x": [[[1, 2]]]}, "x has shape (1, 1, 2): expected (3, 1, 2)"),
    ({"x": [[[1, 2]]], "y": [[0, 1, 1]]}, "y has shape (1, 3)"), ({"a0": [1, 2, 3]}, "a0 has shape (3,): expected (3, 2)"),
    ({"sizes": {"n_y": 2}, "y": [[0, 5]]}, "Y has the label 5"), ({"y": [[0, -5]]}, "Y has the label -5"),
    ({"sizes": {"n_x": 2}, "x": [[0, 2]]}, "X has the label 2"), ({"y": [[-1]]}, "Y has no target"),
    ({"sizes": {"m": 1, "T": 1}, "y": [0.5, 0.2]}, "Y is not one-hot"), ({"parameters": [1]}, "parameters is [1]"),
    ({"parameters": {"W_fa": [[1]]}}, "'W_fa' is nothing of a rnn"), ({"c0": [1]}, "'c0' is nothing of a rnn"),
    ({"cell": 3}, "cell is 3: expected a word"), ({"cell": "no"}, "cell 'no' is not known"),
    ({"cell": "no.py"}, "cell file no.py is not there"), ({"activation": "gelu"}, "activation 'gelu'"),
    ({"output": "x"}, "output 'x'"), ({"output": "linear", "loss": "cross_entropy"}, "does not go with"),
    ({"reduction": "median"}, "reduction is 'median'"), ({"seed": -1}, "seed is -1"), ({"seed": "a"}, "seed is 'a'"),
    ({"title": 5}, "title is 5"), ({"story": 5}, "story is 5"), ({"labels": [1]}, "labels is [1]"),
    ({"a\x1b[31m\nb": 1}, r"'a\x1b[31m\nb' is nothing of a rnn"), ({"k" * 500: 1}, "is nothing of a rnn"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), WRONG)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, content, words):
    path = _file(tmp_path, content)
    with pytest.raises(UnrolledError) as error:
        read_example(path)
    said = str(error.value)
    assert words in said
    assert path in said
    assert said.isprintable()
    assert len(said) < 700


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"seed":' + b"9" * 5000 + b"}"]
)
def test_no_json(tmp_path, content):
    (tmp_path / "example.json").write_bytes(content)
    with pytest.raises(UnrolledError, match=r"is no JSON that can be read"):
        read_example(str(tmp_path / "example.json"))


def test_npz(tmp_path):
    path = tmp_path / "example.npz"
    np.savez(path, x=np.ones((2, 1, 3)), cell="lstm", W_fa=np.eye(3), seed=np.int64(4))
    explanation = read_example(str(path))
    assert explanation.net.architecture.step.cell.name == "lstm"
    np.testing.assert_array_equal(explanation.value("W_fa", None), np.eye(3))


@pytest.mark.parametrize(("arrays", "words"), [
    ({"x": np.array([{}], dtype=object)}, "Object arrays cannot be loaded"),
    ({"x": np.ones((2, 1, 3)) * 1j}, "expected an array of numbers"),
    ({"x": np.array(["a"])}, "expected an array of numbers"),
    ({"x": np.zeros(2, [("a", int)])}, "expected an array of numbers"),
    ({"parameters": np.ones(3)}, "expected names with arrays"), ({"cell": np.array(["rnn"])}, "expected a word"),
    ({"y": np.array([[2**63]], np.uint64)}, "expected at most"),
])  # fmt: skip
def test_npz_that_cannot_be_used(tmp_path, arrays, words):
    np.savez(tmp_path / "example.npz", **arrays)
    with pytest.raises(UnrolledError) as error:
        read_example(str(tmp_path / "example.npz"))
    assert words in str(error.value)


def test_no_npz(tmp_path):
    path = tmp_path / "example.npz"
    np.save(tmp_path / "one.npy", np.ones(3))
    for content in (b"", b"PK\x03\x04xxxx", b"nonsense", (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UnrolledError, match=r"is no \.npz that can be read"):
            read_example(str(path))


@pytest.mark.parametrize(("arguments", "words"), [
    (["none.json"], "none.json cannot be read: No such file"), (["x" * 300], "xxx"),
    (["="], "example '=' is not known"), ([""], "holds no run: expected a folder"),
    (["small", "--text", "a"], "text came with 'small': expected a run folder"),
])  # fmt: skip
def test_on_the_command_line(tmp_path, arguments, words):
    run = unrolled("explain", *arguments, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
    assert words in run.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders: names, prose, digits, and what cannot be explained."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "names.txt").write_text(
        "smith\njones\nbrown\ndavis\nwilson\nevans\n" * 20, encoding="utf-8"
    )
    (folder / "prose.txt").write_text(
        "the sea, the sea and the wide open sea. " * 40, encoding="utf-8"
    )
    how = ["--steps", "3", "--hidden", "8"]
    for name, more in {
        "names": ["names.txt", "--cell", "gru"], "prose": ["prose.txt", "--as", "prose", "--cell", "rnn"],
        "peephole": ["names.txt", "--cell", PEEPHOLE], "adding": ["adding", "--length", "5"],
        "deep": ["names.txt", "--layers", "2"], "embedded": ["names.txt", "--embedding", "4"],
    }.items():  # fmt: skip
        run = unrolled("train", *more, *how, "--out", name, cwd=folder)
        assert run.returncode == 0, run.stderr
    return folder


def test_a_run_reads_a_name(runs):
    explanation = read_example(str(runs / "names"), text="smith")
    net, vocabulary = read_run(runs / "names").net, read_run(runs / "names").task.vocabulary
    letters = "".join(explanation.labels)
    assert letters == vocabulary.characters
    read = [letters[int(explanation.value("x", t).argmax())] for t in range(6)]
    asked = [letters[int(explanation.value("y", t).argmax())] for t in range(6)]
    assert "".join(read) == "\nsmith"
    assert "".join(asked) == "smith\n"
    labels = vocabulary.encode("\nsmith\n")[None]
    assert explanation.value("loss", None)[0, 0] == pytest.approx(
        net.loss(labels[:, :-1], labels[:, 1:]), rel=1e-5
    )
    assert explanation.net.dtype == np.float64
    assert explanation.title == "names: the text 'smith'"


def test_a_run_reads_prose(runs):
    explanation = read_example(str(runs / "prose"), text="the sea")
    assert explanation.T == 6
    run = unrolled("explain", "prose", "--text", "the sea", "--step", "t=0:y_hat", cwd=runs)
    assert run.returncode == 0
    assert "'t'" in run.stdout


def test_a_run_with_a_cell_of_its_own(runs):
    assert read_example(str(runs / "peephole"), PEEPHOLE, text="jones").T == 6


@pytest.mark.parametrize(("arguments", "words"), [
    (["names"], "names is a run folder: expected --text"), (["names", "--text", ""], "text has 0 characters"),
    (["prose", "--text", "t"], "expected from 2 to 300"), (["names", "--text", "a" * 999], "expected from 1 to 300"),
    (["names", "--text", "smith?"], "text: the character '?'"), (["adding", "--text", "a"], "expected a run on text"),
    (["deep", "--text", "smith"], "the network has 2 layers"), (["embedded", "--text", "smith"], "has an embedding"),
    (["names", "--text", "smith", "--seed", "3"], "expected no other sizes or seed"), (["."], "holds no run"),
])  # fmt: skip
def test_runs_that_cannot_be_explained(runs, arguments, words):
    run = unrolled("explain", *arguments, cwd=runs)
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
    assert words in run.stderr


def test_the_numbers_are_an_example(tmp_path):
    net = un.Network("gru", n_x=2, n_a=3, n_y=2, output="sigmoid")
    explanation = un.explain(net, np.ones((2, 2, 3)), np.ones((2, 2, 3)), reduction="batch")
    explanation.save(tmp_path / "numbers.json")
    again = read_example(str(tmp_path / "numbers.json"))
    assert again.value("loss", None) == explanation.value("loss", None)
    np.testing.assert_array_equal(again.value("dW_ua", None), explanation.value("dW_ua", None))


def test_a_file_that_is_not_there_is_said_once(tmp_path):
    run = unrolled("explain", "nothere.json", cwd=tmp_path)
    assert run.stderr == "unrolled: nothere.json cannot be read: No such file or directory\n"


def test_labels_in_an_npz(tmp_path):
    np.savez(tmp_path / "labels.npz", labels=np.array(["a", "b", "c"]))
    assert read_example(str(tmp_path / "labels.npz")).labels == ("a", "b", "c")


def test_numbers_that_are_too_large_are_shown_without_a_warning(tmp_path):
    path = tmp_path / "large.json"
    told = {"x": [[[1e300]]], "parameters": {"W_ax": [[1e300], [1], [2], [3]]}}
    path.write_text(json.dumps(told), encoding="utf-8")
    run = unrolled("explain", str(path), "--step", "t=0:z_a")
    assert (run.returncode, run.stderr) == (0, "")
    assert "∞" in run.stdout
