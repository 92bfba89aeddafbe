"""Text as labels: vocabulary, reading files, names or prose, sampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unrolled as un
from unrolled.data.surnames import surnames
from unrolled.data.text import Vocabulary, looks_like_names, read_text
from unrolled.training.sampling import sample
from unrolled.training.tasks.text import Text


@given(st.text(min_size=1))
def test_decode_undoes_encode(text):
    vocabulary = Vocabulary(text)
    labels = vocabulary.encode(text)
    assert vocabulary.decode(labels) == text
    assert len(vocabulary) == len(set(text))
    assert [vocabulary.characters[k] for k in labels] == list(text)


def test_labels_are_as_small_as_they_can_be():
    assert Vocabulary("ab").encode("ab").dtype == np.uint8
    many = "".join(map(chr, range(256, 256 + 300)))
    assert Vocabulary(many).encode(many).dtype == np.uint16
    assert Vocabulary(many[:256]).encode(many[:256]).dtype == np.uint8


def test_a_long_text_is_encoded_in_parts():
    text = "abc" * 700_001
    labels = Vocabulary("abc").encode(text)
    assert np.array_equal(labels, np.tile([0, 1, 2], 700_001))


@pytest.mark.parametrize(("text", "where"), [
    ("abcé", "line 1, column 4"), ("a\nbé", "line 2, column 2"), ("\n\né", "line 3, column 1"),
])  # fmt: skip
def test_an_unknown_character_is_named_with_its_place(text, where):
    with pytest.raises(un.UnrolledError, match=f"character 'é' \\({where}\\) is not in the voc"):
        Vocabulary("abc\n").encode(text)


def test_an_unknown_character_in_the_second_part_is_found():
    text = "ab" * 600_000 + "é"
    with pytest.raises(un.UnrolledError, match="line 1, column 1200001"):
        Vocabulary("ab").encode(text)


def test_surnames_are_the_census():
    names = surnames()
    assert len(names) == len(set(names)) == 88799
    assert names[:3] == ["smith", "johnson", "williams"]
    assert set("".join(names)) == set("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty"), (b"\n\r\n\n", "is empty"), (b"a", "only one symbol, 'a'"),
    (b"aaa\naa\n", "only one symbol, 'a'"), (b"   \n ", "only one symbol, ' '"),
    (b"ab\ncaf\xe9\n", r"not UTF-8 text: byte 0xe9 in line 2 \(byte 6 of the file\)"),
    (b"\xff\xfea\x00", "not UTF-8 text: byte 0xff in line 1"),
])  # fmt: skip
def test_a_text_that_cannot_be_used(tmp_path, content, words):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(un.UnrolledError, match=words):
        read_text(path)


def test_every_end_of_a_line_is_a_newline(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfab\r\nc\rd\n\xc3\xa9")
    assert read_text(path) == "ab\nc\nd\né"


@pytest.mark.parametrize(("text", "names"), [
    ("anna\nbob\ncy\ndora\nel\n", True), ("mary ann\nde la cruz\nbob\nel\nx\n" * 3, True),
    ("anna\nbob", False), ("one line that goes on", False),
    ("It was the best of times, it was the\nworst of times, it was the age of\n" * 20, False),
    ("x" * 5000 + "\n", False),
])  # fmt: skip
def test_names_are_told_from_prose(text, names):
    assert looks_like_names(text) is names


def _network(text="abc", n_a=8):
    vocabulary = Vocabulary(text)
    n = len(vocabulary)
    return un.Network("gru", n_x=n, n_a=n_a, n_y=n), vocabulary


def test_sampling_follows_the_probabilities():
    """Of a network whose logits are its output bias, characters come as often as softmax says."""
    net, vocabulary = _network()
    for value in net.parameters.values():
        value[:] = 0
    net.parameters["b_y"][:, 0] = np.log([0.5, 0.3, 0.2])
    for top_k, expected in ((None, [0.5, 0.3, 0.2]), (2, [0.625, 0.375, 0]), (1, [1, 0, 0])):
        drawn = sample(net, vocabulary, 20000, "a", stop="", longest=1, top_k=top_k, seed=4)
        shares = np.array([drawn.count(c) for c in "abc"]) / 20000
        assert np.abs(shares - expected).max() < 4 * np.sqrt(0.25 / 20000)
        assert (shares[np.array(expected) == 0] == 0).all()


def test_top_k_takes_k_where_logits_are_equal():
    net, vocabulary = _network("abcdef")
    for value in net.parameters.values():
        value[:] = 0
    assert len(set(sample(net, vocabulary, 500, "a", stop="", longest=1, top_k=3))) == 3
    assert len(set(sample(net, vocabulary, 500, "a", stop="", longest=1, top_k=99))) == 6


def test_samples_follow_seed_and_length():
    net, vocabulary = _network("abcdefgh\n")
    wild = {"prefix": "\n", "temperature": 3.0}
    assert sample(net, vocabulary, 3, seed=1, **wild) == sample(net, vocabulary, 3, seed=1, **wild)
    assert sample(net, vocabulary, 3, seed=1, **wild) != sample(net, vocabulary, 3, seed=2, **wild)
    assert all(len(t) <= 5 for t in sample(net, vocabulary, 9, longest=5))


def test_the_smallest_temperature_takes_the_likeliest():
    net, vocabulary = _network("ab\n")
    assert len(set(sample(net, vocabulary, 5, temperature=1e-310))) == 1
    assert sample(net, vocabulary, 1, temperature=1e-310) == sample(net, vocabulary, 1, top_k=1)


@pytest.mark.parametrize(("options", "words"), [
    ({"temperature": 0.0}, "temperature is 0.0: expected a number above 0"),
    ({"temperature": -1.0}, "temperature is -1.0"), ({"temperature": float("nan")}, "temperature is"),
    ({"temperature": "a"}, "temperature is 'a'"), ({"count": 0}, "count is 0"),
    ({"longest": 0}, "longest is 0"), ({"seed": -1}, "seed is -1"), ({"top_k": 0}, "top_k is 0"),
    ({"prefix": ""}, "prefix is empty"), ({"prefix": "z"}, "character 'z'"),
])  # fmt: skip
def test_sampling_that_makes_no_sense(options, words):
    with pytest.raises(un.UnrolledError, match=words):
        sample(*_network("ab\n"), **options)


def test_a_network_that_does_not_predict_characters():
    with pytest.raises(un.UnrolledError, match="expected 2 characters in and out, and a softmax"):
        sample(un.Network("rnn", n_x=2, n_a=3, n_y=2, output="linear"), Vocabulary("ab"))
    with pytest.raises(un.UnrolledError, match="n_x = 3, n_y = 2"):
        sample(un.Network("rnn", n_x=3, n_a=3, n_y=2), Vocabulary("ab"))


def test_a_text_is_continued_from_its_prefix():
    text = "the quick brown fox jumps over the lazy dog\n" * 20
    task = Text.of(text, names=True)
    data = un.training.tasks.text.text_dataset(text, True, 4, None, 0.0, 0, "")
    net = data.network("gru", 24, dtype="float64")
    un.train(net, data, optimiser=un.Adam(0.02), steps=250)
    assert task.continued(net, "the quick b", 2, temperature=0.1, longest=60) == [
        "the quick brown fox jumps over the lazy dog"
    ] * 2  # fmt: skip
    with pytest.raises(un.UnrolledError, match=r"prefix: the character 'é' \(line 1, column 2\)"):
        task.continued(net, "té", 1)


def test_a_state_that_overflows_while_it_writes_stops_no_training():
    text = "to be or not to be, that is the question " * 5
    data = un.training.tasks.text.text_dataset(text, False, 4, 8, 0.1, 0, "said")
    net = data.network("rnn", 8, activation="relu", dtype="float32")
    net.parameters["W_aa"][:] = 5 * np.eye(8, dtype="float32")  # 5 ** 300 is no float32
    net.parameters["b_a"][:] = 1
    assert data.task.write(net) == []
    history = un.train(net, data, steps=2, optimiser=un.SGD(1e-9), every=1)
    assert len(history.updates) == 2
