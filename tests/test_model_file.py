"""Model files come back as they were, and say in one sentence when they cannot."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import cells, problem

import unrolled as un
from unrolled import tensor_file

GOLDEN = Path(__file__).parent / "golden"
SAID = json.loads((GOLDEN / "models.json").read_text(encoding="utf-8"))


def _same(net, other):
    assert net.settings == other.settings
    assert list(net.parameters) == list(other.parameters)
    for name, value in other.parameters.items():
        assert net.parameters[name].tobytes("F") == value.tobytes("F")
        assert net.parameters[name].dtype == value.dtype
        assert net.parameters[name].flags.f_contiguous
        assert net.parameters[name].flags.writeable


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_a_saved_network_is_the_same(cell, activation, dtype, tmp_path):
    p = problem(cell, activation, dtype=dtype)
    un.save(p.net, tmp_path / "model.safetensors")
    net = un.load(tmp_path / "model.safetensors")
    _same(net, p.net)
    assert net.loss(*p.arguments) == p.net.loss(*p.arguments)


def test_layers_and_directions_come_back(tmp_path):
    net = problem("lstm", layers=2, bidirectional=True, embedding=4, dropout=0.5).net
    un.save(net, tmp_path / "model.safetensors")
    _same(un.load(str(tmp_path / "model.safetensors")), net)


@pytest.mark.parametrize("name", sorted(SAID))
def test_format_1_is_read(name, tmp_path):
    """Files that were written before there was a checksum, the oldest before there were layers."""
    net, expected = un.load(GOLDEN / f"{name}.safetensors"), SAID[name]
    assert net.settings.items() >= expected["settings"].items()
    for key, value in safetensors.numpy.load_file(GOLDEN / f"{name}.safetensors").items():
        assert net.parameters[key].tobytes("C") == value.tobytes("C")
        assert net.parameters[key].dtype == value.dtype
    X = np.linspace(-1, 1, net.sizes["n_x"] * 3, dtype=net.dtype).reshape(-1, 1, 3, order="F")
    found = net.forward(X)["y_hat"].ravel(order="F")
    np.testing.assert_allclose(
        found, expected["y_hat"], rtol=1e-6 if "32" in str(net.dtype) else 1e-13
    )
    un.save(net, tmp_path / "model.safetensors")
    _same(un.load(tmp_path / "model.safetensors"), net)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    un.save(problem("rnn").net, path)
    return path


def _rewrite(path, settings=None, **tensors):
    """Write a model file that is in order as a file, whatever it holds."""
    content, held = tensor_file.read(path, "model")
    content["settings"] = content["settings"] | settings if isinstance(settings, dict) else settings
    tensor_file.write(path, "model", content, held | tensors)


def _is_one_sentence(path, error):
    sentence = str(error)
    assert sentence.isprintable()
    assert len(sentence) <= 300
    assert sentence.startswith(f"model file {path} ")
    return sentence


def _refusal(path):
    start = time.monotonic()
    with pytest.raises(un.UnrolledError) as refusal:
        un.load(path)
    assert time.monotonic() - start < 5
    return _is_one_sentence(path, refusal.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04\x95pickle"])
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "other.safetensors"
    assert "is not there" in _refusal(path)
    path.write_bytes(content)
    _refusal(path)


def test_a_truncated_file(model):
    model.write_bytes(model.read_bytes()[:-9])
    assert "cannot be read: incomplete metadata, file not fully covered" in _refusal(model)


def test_a_checkpoint_is_no_model(tmp_path):
    tensor_file.write(tmp_path / "last.safetensors", "checkpoint", {}, {})
    assert "it is a checkpoint" in _refusal(tmp_path / "last.safetensors")


@pytest.mark.parametrize(("settings", "words"), [
    (None, "it has no settings"), ([], "it has no settings"),
    ({"evil": 1}, "its settings have 'evil', which is not known"),
    ({"engine": "reference"}, "its settings have 'engine', which is not known"),
    ({"n_a": 10**6}, "expected (n_a, n_a) = (1000000, 1000000)"),
    ({"n_a": 10**9}, "expected (n_a, n_a) = (1000000000, 1000000000)"),
    ({"n_a": 10**30}, "n_a (hidden units) is too large"),
    ({"n_a": 10**4000}, "n_a (hidden units) is too large"),
    ({"n_a": 1e9}, "n_a (hidden units) is 1000000000.0"), ({"n_a": -1}, "n_a"), ({"n_a": 0}, "n_a"),
    ({"n_a": True}, "n_a"), ({"n_a": "5"}, "n_a"), ({"n_a": None}, "n_a"),
    ({"n_a": "5" * 10**5}, "n_a"), ({"n_a": [5]}, "its setting n_a is [5]"),
    ({"n_x": 10**9}, "W_ax has shape"), ({"n_y": 10**9}, "W_ya has shape"),
    ({"embedding": 10**9}, "parameter"), ({"embedding": 1e9}, "n_e"),
    ({"layers": 10**9}, "layers is 1000000000: expected at most 1000"), ({"layers": 1000}, "parameter"),
    ({"layers": 10**30}, "expected at most 1000"), ({"layers": 2}, "parameter"),
    ({"layers": 2.5}, "layers"), ({"layers": 0}, "layers"), ({"bidirectional": 1}, "bidirectional"),
    ({"bidirectional": True}, "parameter"), ({"dropout": 10**400}, "dropout"),
    ({"dropout": -0.5}, "dropout"), ({"dtype": "float16"}, "dtype is 'float16'"),
    ({"dtype": "O"}, "dtype is 'O'"), ({"dtype": "float32"}, "float64: expected an array of float32"),
    ({"dtype": "i4," * 10**5}, "dtype is"), ({"dtype": 1}, "dtype is 1"), ({"dtype": "a"}, "dtype is"),
    ({"seed": -1}, "seed is -1"), ({"seed": 0.5}, "seed is 0.5"), ({"output": "evil"}, "output"),
    ({"output": {"a": 1}}, "its setting output is"), ({"loss": 3}, "loss"), ({"activation": 3}, "activation"),
    ({"cell": "none"}, "say where the cell file is, with cell=…"), ({"cell": None}, "cell=…"),
    ({"cell": 3}, "cell=…"), ({"cell": "\x1b[31m\n" * 99}, "cell"), ({"cell": ["rnn"]}, "setting cell"),
    ({"cell": "lstm"}, "parameter"),
])  # fmt: skip
def test_settings_that_make_no_network(model, settings, words):
    """They are refused before anything of their size is made."""
    _rewrite(model, settings)
    sentence = _refusal(model)
    assert words in sentence
    assert "cannot be used: " in sentence


def test_a_setting_that_is_missing(model):
    content, tensors = tensor_file.read(model, "model")
    for name in ("cell", "n_x", "n_a", "n_y", "dtype", "seed"):
        less = {key: value for key, value in content["settings"].items() if key != name}
        tensor_file.write(model, "model", {"settings": less}, tensors)
        assert f"its settings lack {name!r}" in _refusal(model)
    tensor_file.write(model, "model", {}, tensors)
    assert "it has no settings" in _refusal(model)


VALUES = (
    st.none() | st.booleans() | st.integers(-2, 7) | st.integers() | st.text(max_size=9)
    | st.sampled_from(["rnn", "lstm", "tanh", "relu", "softmax", "linear", "float32", "float64"])
    | st.floats(allow_nan=False, allow_infinity=False) | st.lists(st.integers(), max_size=2)
)  # fmt: skip


@settings(max_examples=60)
@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(problem("rnn").net.settings)), VALUES, max_size=3
    )
)
def test_any_settings_make_the_network_or_are_refused(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    net = problem("rnn").net
    tensor_file.write(path, "model", {"settings": net.settings | changes}, net.parameters)
    try:
        found = un.load(path)
    except un.UnrolledError as error:
        _is_one_sentence(path, error)
    else:
        for name, value in net.parameters.items():
            assert found.parameters[name].tobytes("F") == value.tobytes("F")


def test_a_model_file_does_not_choose_which_code_runs(model, tmp_path):
    (tmp_path / "evil.py").write_text("raise RuntimeError('it ran')", encoding="utf-8")
    _rewrite(model, {"cell": str(tmp_path / "evil.py")})
    sentence = _refusal(model)
    assert "say where the cell file is, with cell=" in sentence
    assert "it ran" not in sentence


def test_a_cell_of_ones_own(tmp_path):
    cell = Path(__file__).parent / "peephole_lstm.py"
    net = problem(str(cell)).net
    un.save(net, tmp_path / "model.safetensors")
    assert "with cell=" in _refusal(tmp_path / "model.safetensors")
    found = un.load(tmp_path / "model.safetensors", cell=cell)
    for name, value in net.parameters.items():
        assert found.parameters[name].tobytes("F") == value.tobytes("F")


def test_a_network_that_is_not_in_order_does_not_replace_one_that_is(model):
    before, net = model.read_bytes(), problem("rnn").net
    net.parameters["W_aa"][0, 0] = np.nan
    with pytest.raises(un.UnrolledError, match="W_aa is nan"):
        un.save(net, model)
    assert model.read_bytes() == before
    for path in (".", ""):
        with pytest.raises(un.UnrolledError, match="is a folder"):
            un.save(problem("rnn").net, path)


@pytest.mark.parametrize(("tensors", "words"), [
    ({"W_aa": np.ones((5, 4))}, "W_aa has shape (5, 4)"),
    ({"W_aa": np.ones((5, 5), "float32")}, "W_aa is float32"),
    ({"W_aa": np.ones((5, 5), int)}, "W_aa is int64"),
    ({"W_aa": np.full((5, 5), np.nan)}, "W_aa is nan"),
    ({"W_aa": np.full((5, 5), np.inf)}, "W_aa is inf"),
    ({"W_aa": np.ones(())}, "W_aa has shape ()"),
    ({"W_aa": np.ones((5, 0))}, "W_aa has shape (5, 0)"),
    ({"W_aa": np.ones((1,) * 32)}, "W_aa has shape (1, 1,"),
    ({"../../evil": np.ones(1)}, "../../evil is not one of this network's"),
    ({"n" * 200: np.ones(1)}, "nnn is not one of this network's"),
])  # fmt: skip
def test_parameters_that_do_not_fit(model, tensors, words):
    _rewrite(model, {}, **tensors)
    assert words in _refusal(model)


def _damaged(texts, random):
    """Return a file's bytes with a few bits flipped, cut, or with a piece of the other in them."""
    content = bytearray(texts[0])
    for _ in range(random.integers(1, 4)):
        begin, end = sorted(random.integers(0, len(content) + 1, 2))
        match random.integers(4):
            case 0 | 1:
                content[begin % len(content)] ^= 1 << random.integers(8)
            case 2:
                content[begin:end] = texts[1][begin:end]
            case 3:
                content[begin : begin + 9] = b""
    return bytes(content)


@pytest.mark.parametrize("name", ["new", *sorted(SAID)])
def test_a_damaged_file_loads_as_it_was_or_not_at_all(tmp_path, model, name):
    """What has a checksum; a file of format 1 has none, and is read or refused."""
    whole = model if name == "new" else GOLDEN / f"{name}.safetensors"
    net, path, random = un.load(whole), tmp_path / "damaged.safetensors", np.random.default_rng(1)
    texts = whole.read_bytes(), (GOLDEN / "plain.safetensors").read_bytes()
    for _ in range(150):
        path.write_bytes(_damaged(texts, random))
        try:
            found = un.load(path)
        except un.UnrolledError as error:
            _is_one_sentence(path, error)
        else:
            if name == "new":
                _same(found, net)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(un.UnrolledError, match="cannot be written"):
        un.save(problem("rnn").net, tmp_path / "none" / "model.safetensors")
