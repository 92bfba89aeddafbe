"""Model files come back as they were, and say in one sentence when they cannot."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy
from problems import cells, problem

import unrolled as un
from unrolled.files import write_text


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_a_saved_network_is_the_same(cell, activation, dtype, tmp_path):
    p = problem(cell, activation, dtype=dtype)
    un.save(p.net, tmp_path / "model.safetensors")
    net = un.load(tmp_path / "model.safetensors")
    assert net.settings == p.net.settings
    for name, value in p.net.parameters.items():
        assert net.parameters[name].tobytes("F") == value.tobytes("F")
        assert net.parameters[name].flags.f_contiguous
    assert net.loss(*p.arguments) == p.net.loss(*p.arguments)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    un.save(problem("rnn").net, path)
    return path


def _rewrite(path, metadata=None, **tensors):
    with safetensors.safe_open(path, framework="numpy") as file:
        old, held = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.write_bytes(safetensors.numpy.save(held | tensors, old | (metadata or {})))


def _refusal(path):
    with pytest.raises(un.UnrolledError) as refusal:
        un.load(path)
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)
    return str(refusal.value)


def test_a_file_that_is_not_there(tmp_path):
    assert "is not there" in _refusal(tmp_path / "none.safetensors")
    assert "is not there" in _refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 64, b"\x80\x04\x95pickle",
                                     (2**62).to_bytes(8, "little") + b"{}"])  # fmt: skip
def test_a_file_of_another_kind(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    assert "cannot be read" in _refusal(path)


def test_a_truncated_file(model):
    model.write_bytes(model.read_bytes()[:-9])
    assert "cannot be read" in _refusal(model)


def test_another_programs_safetensors(tmp_path):
    path = tmp_path / "theirs.safetensors"
    path.write_bytes(safetensors.numpy.save({"W": np.ones(3)}))
    assert "not written by Unrolled" in _refusal(path)


def test_a_newer_format_says_so(model):
    _rewrite(model, {"unrolled": '{"format": 9}'})
    assert "has format 9, this version reads 1" in _refusal(model)


@pytest.mark.parametrize("settings", ["{", "[]", '{"n_x": 3}', json.dumps({"n_x": 3, "evil": 1})])
def test_damaged_settings(model, settings):
    _rewrite(model, {"unrolled": f'{{"format": 1, "settings": {settings}}}'})
    assert "settings are damaged" in _refusal(model)


def test_settings_of_another_size_are_seen_before_memory_is_taken(model):
    settings = problem("rnn").net.settings | {"n_a": 10**6}
    _rewrite(model, {"unrolled": json.dumps({"format": 1, "settings": settings})})
    assert "expected (n_a, n_a) = (1000000, 1000000)" in _refusal(model)


def test_a_model_file_does_not_choose_which_code_runs(model, tmp_path):
    (tmp_path / "evil.py").write_text("raise RuntimeError('it ran')", encoding="utf-8")
    settings = problem("rnn").net.settings | {"cell": str(tmp_path / "evil.py")}
    _rewrite(model, {"unrolled": json.dumps({"format": 1, "settings": settings})})
    assert "say where the cell file is, with cell=" in _refusal(model)


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
    ({"W_aa": np.full((5, 5), np.nan)}, "W_aa is nan"),
    ({"../../evil": np.ones(1)}, "../../evil is not one of this network's"),
])  # fmt: skip
def test_parameters_that_do_not_fit(model, tensors, words):
    _rewrite(model, **tensors)
    assert words in _refusal(model)


def test_writing_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(un.UnrolledError, match=r"file.txt cannot be written: disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (done.append(n), r(*a)))
    write_text(tmp_path / "file.txt", "new")
    assert done == ["fsync", "replace"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "file.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "file.txt").read_text() == "new"


@pytest.mark.parametrize("name", [os.devnull, "a\0b", "."])
def test_what_is_no_file_is_not_written_over(name, tmp_path):
    with pytest.raises(un.UnrolledError, match="cannot be written"):
        write_text(tmp_path / name, "new")


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    path, texts = tmp_path / "file.txt", [str(k) * 100_000 for k in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write_text, [path] * 60, texts * 10))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(un.UnrolledError, match="cannot be written"):
        un.save(problem("rnn").net, tmp_path / "none" / "model.safetensors")
