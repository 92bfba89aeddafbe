"""Files of tensors: what was written is what is read, and anything else is one sentence."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import unrolled
from unrolled import UnrolledError, tensor_file
from unrolled.tensor_file import read, write

CONTENT = {"step": 3, "rate": 0.1, "big": 2**127, "text": "ŷ⟨t⟩ \ud800", "none": None,
           "list": [1, [True, {}], -0.0], "b": {"y": 1, "x": 2}}  # fmt: skip
TENSORS = {
    "W_aa": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "layer0.W_ax": np.array([[1e-300, np.nan, -0.0]]),
    "single": np.linspace(0, 1, 5, dtype="float32")[::2],
    "count": np.array(7),
    "state": np.array([2**64 - 1], "uint64"),
    "bytes": np.arange(3, dtype="uint8"),
    "none": np.zeros((3, 0, 2)),
}


def _same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert found[name].tobytes() == value.tobytes()


def _is_one_sentence(error):
    sentence = str(error)
    assert sentence.isprintable()
    assert len(sentence) <= 300
    assert "Error" not in sentence
    return sentence


def _refusal(path, kind="model"):
    with pytest.raises(UnrolledError) as refusal:
        read(path, kind)
    sentence = _is_one_sentence(refusal.value)
    assert sentence.startswith({"model": "model file ", "checkpoint": "checkpoint "}[kind])
    return sentence


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.safetensors"
    write(path, "model", CONTENT, TENSORS)
    return path


@pytest.fixture
def made(tmp_path):
    """Write a file of a header, a dictionary or JSON or bytes, and of what is behind it."""

    def make(header, behind=b"", length=None):
        text = json.dumps(header) if isinstance(header, dict) else header
        text = text if isinstance(text, bytes) else text.encode()
        path = tmp_path / "made.safetensors"
        length = len(text) if length is None else length
        path.write_bytes(length.to_bytes(8, "little") + text + behind)
        return path

    return make


def _entry(**changes):
    entry = {"format": 1, "settings": {}} | changes
    return {"unrolled": json.dumps(entry)}


def _tensor(dtype="F64", shape=(2,), offsets=(0, 16), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


# ── what is written is what is read ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_what_was_written_is_read(tmp_path, kind):
    path = tmp_path / "file.safetensors"
    write(path, kind, CONTENT, TENSORS)
    content, tensors = read(path, kind)
    assert content == CONTENT
    assert json.dumps(content["list"]) == json.dumps(CONTENT["list"])
    _same(tensors, TENSORS)
    for value in tensors.values():
        assert value.flags.writeable
        assert value.flags.c_contiguous
        assert value.dtype.isnative


def test_the_same_content_gives_the_same_bytes(file, tmp_path):
    other = tmp_path / "other.safetensors"
    backwards = dict(reversed(CONTENT.items())) | {
        "b": {"x": 2, "y": 1},
        "list": (1, [True, {}], -0.0),
    }
    tensors = {n: np.ascontiguousarray(v).reshape(v.shape) for n, v in reversed(TENSORS.items())}
    write(other, "model", backwards, tensors)
    assert other.read_bytes() == file.read_bytes()
    write(other, *("model", *read(file, "model")))
    assert other.read_bytes() == file.read_bytes()


def test_other_programs_read_it(file):
    """Every number lies on its alignment, and Unrolled's entry is the only one."""
    _same(safetensors.numpy.load_file(file), TENSORS)
    with safetensors.safe_open(file, framework="numpy") as opened:
        assert opened.metadata().keys() == {"unrolled"}
    length = int.from_bytes(file.read_bytes()[:8], "little")
    header = json.loads(file.read_bytes()[8 : 8 + length])
    assert length % 8 == 0
    for name, value in TENSORS.items():
        assert header[name]["data_offsets"][0] % value.itemsize == 0


def test_the_checksum_is_what_the_documentation_says(file):
    with safetensors.safe_open(file, framework="numpy") as opened:
        entry = json.loads(opened.metadata()["unrolled"])
        tensors = {name: opened.get_tensor(name) for name in sorted(opened.keys())}
        codes = {name: opened.get_slice(name).get_dtype() for name in tensors}
    checksum = entry.pop("checksum")
    described = [[name, codes[name], list(value.shape)] for name, value in tensors.items()]
    text = json.dumps([entry, described], sort_keys=True, separators=(",", ":"))
    numbers = b"".join(
        value.astype(value.dtype.newbyteorder("<")).tobytes() for value in tensors.values()
    )
    assert checksum == hashlib.sha256(text.encode() + numbers).hexdigest()


def test_what_other_programs_write_is_read(tmp_path):
    path, tensors = tmp_path / "theirs.safetensors", {n: v.copy() for n, v in TENSORS.items()}
    entry = json.dumps({"format": 1, "settings": {"n_x": 3}})
    path.write_bytes(safetensors.numpy.save(tensors, {"unrolled": entry, "format": "pt"}))
    content, found = read(path, "model")
    assert content == {"settings": {"n_x": 3}}
    _same(found, tensors)


def test_numbers_of_other_machines(tmp_path):
    path = tmp_path / "file.safetensors"
    write(path, "model", {}, {"W": np.arange(3, dtype=">f8")})
    assert read(path, "model")[1]["W"].tolist() == [0, 1, 2]
    assert safetensors.numpy.load_file(path)["W"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("content", "tensors", "words"), [
    ({"a": float("nan")}, {}, "its content cannot be JSON"),
    ({"a": float("inf")}, {}, "its content cannot be JSON"),
    ({"a": np.ones(2)}, {}, "its content cannot be JSON"),
    ({"a": 10**5000}, {}, "its content cannot be JSON"),
    ({1: 0, "1": 0}, {}, "its content cannot be JSON"),
    ({"a": "a" * 5_000_000}, {}, "expected at most 4194304"),
    ({}, {"W": np.ones(2, complex)}, "tensor W is complex128"),
    ({}, {"W": np.array([None])}, "tensor W is object"),
    ({}, {"W": np.ones(2, "float16")}, "tensor W is float16"),
    ({}, {"W": [1.0]}, "tensor W is list"),
    ({}, {"": np.ones(2)}, "a tensor is named ''"),
    ({}, {"a\nb": np.ones(2)}, "printable"),
    ({}, {"n" * 201: np.ones(2)}, "1 to 200"),
    ({}, {"__metadata__": np.ones(2)}, "__metadata__"),
])  # fmt: skip
def test_what_could_not_be_read_is_not_written(file, content, tensors, words):
    before = file.read_bytes()
    with pytest.raises(UnrolledError, match=r"model file .* cannot be written") as refusal:
        write(file, "model", content, tensors)
    assert words in _is_one_sentence(refusal.value)
    assert file.read_bytes() == before


# ── versions and kinds ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "needs"), [(9, "0.5.0"), (9, "1.0"), (2, "0.5.0"), (2, "0.1.1")]
)
def test_a_newer_version_is_named(tmp_path, monkeypatch, number, needs):
    path = tmp_path / "file.safetensors"
    with monkeypatch.context() as newer:
        newer.setattr(tensor_file, "FORMAT", number)
        newer.setattr(tensor_file, "NEEDS", needs)
        newer.setattr(unrolled, "__version__", "1.7.0.dev3")
        write(path, "model", CONTENT, TENSORS)
    monkeypatch.setattr(unrolled, "__version__", "0.1.0")
    assert _refusal(path).endswith(
        f"was written by Unrolled 1.7.0.dev3 and needs {needs} or newer, this is 0.1.0: "
        "pip install --upgrade unrolled"
    )


@pytest.mark.parametrize("needs", ["0.1.0", "0.1", "0.0.9", "0.1.0.0"])
def test_a_newer_version_that_writes_what_this_one_reads(tmp_path, monkeypatch, needs):
    path = tmp_path / "file.safetensors"
    with monkeypatch.context() as newer:
        newer.setattr(tensor_file, "NEEDS", needs)
        newer.setattr(unrolled, "__version__", "0.7.0")
        write(path, "model", CONTENT, TENSORS)
    monkeypatch.setattr(unrolled, "__version__", "0.1.0")
    assert read(path, "model")[0] == CONTENT


@pytest.mark.parametrize("said", [{}, {"written_by": 3, "needs": []}, {"written_by": "\n", "needs": "x"},
                                  {"written_by": "0.7.0"}])  # fmt: skip
def test_a_newer_format_that_says_nothing_of_versions(made, said):
    sentence = _refusal(made({"__metadata__": {"unrolled": json.dumps({"format": 9, **said})}}))
    assert "has format 9" in sentence
    assert sentence.endswith("pip install --upgrade unrolled")


def test_a_newer_format_that_this_version_should_read(made):
    entry = {"format": 3, "written_by": "0.1.0", "needs": "0.1.0"}
    assert "is damaged" in _refusal(made({"__metadata__": {"unrolled": json.dumps(entry)}}))


def test_kinds_are_not_mixed_up(file, made, tmp_path):
    assert _refusal(file, "checkpoint").endswith("cannot be used: it is a model file")
    assert "it is a model file" in _refusal(made({"__metadata__": _entry()}), "checkpoint")
    write(tmp_path / "last.safetensors", "checkpoint", CONTENT, TENSORS)
    sentence = _refusal(tmp_path / "last.safetensors")
    assert sentence.endswith("last.safetensors cannot be used: it is a checkpoint")


# ── what is no such file ─────────────────────────────────────────────────────────────────────────


def _zip():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", "x" * 100)
    return archive.getvalue()


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty"),
    (b"\0", "is cut short, or is no safetensors file"),
    (b"\0" * 8, "cannot be read: invalid JSON in header"),
    (b"hello", "is cut short, or is no safetensors file"),
    (b"a text of some length\n" * 9, "is cut short, or is no safetensors file"),
    (b'{"format": 1, "settings": {}}', "is cut short, or is no safetensors file"),
    (b"\xff" * 64, "is cut short, or is no safetensors file"),
    (b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "an HDF5 file"),
    (pickle.dumps({"W_aa": [1.0] * 99}), "a pickle begins so, and nothing is unpickled"),
    (pickle.dumps({"W_aa": [1.0] * 99}, 2), "a pickle begins so, and nothing is unpickled"),
    (_zip(), "a zip archive"),
    ((2**62).to_bytes(8, "little") + b"{}", "announce a header of 4611686018427387904"),
    ((2**64 - 1).to_bytes(8, "little") + b"{}", "announce a header of 18446744073709551615"),
    ((3).to_bytes(8, "little") + b"{}", "announce a header of 3"),
])  # fmt: skip
def test_a_file_of_another_kind(tmp_path, content, words):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    assert words in _refusal(path)


def test_another_programs_safetensors(tmp_path):
    path = tmp_path / "theirs.safetensors"
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(safetensors.numpy.save({"W": np.ones(3)}, metadata))
        assert "was not written by Unrolled" in _refusal(path)


def test_a_header_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "sparse.safetensors"
    with open(path, "wb") as file:
        file.write((2**32).to_bytes(8, "little"))
        file.truncate(2**33)  # it has them, and no disk holds them
    assert "its header has 4294967296 bytes, expected at most 4194304" in _refusal(path)


def test_what_is_not_there(tmp_path):
    assert _refusal(tmp_path / "none.safetensors").endswith("none.safetensors is not there")
    assert "is a folder" in _refusal(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    assert "is not there" in _refusal(tmp_path / "dangling")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot be read" in _refusal(tmp_path / "loop")
    for name in ("a\0b", "n" * 5000, "\x1b[31mred\n\0", "\x01" * 200 + "\0"):
        assert "cannot be read" in _refusal(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX's files that are none")
def test_what_is_no_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        start = time.monotonic()
        assert "is no ordinary file" in _refusal(path)
        assert time.monotonic() - start < 5


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_what_may_not_be_read(file):
    file.chmod(0)
    assert "cannot be read: Permission denied" in _refusal(file)


# ── hostile headers ──────────────────────────────────────────────────────────────────────────────

LONG = "9" * 10_000


@pytest.mark.parametrize("header", [
    "", "[]", "1", b"\xff\xfe", "{}" + "x", '{"a": 1, "a": 1}', "\ufeff{}", "[" * 100_000,
    '{"a":' * 100_000, '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', f'{{"a": {LONG}}}',
    '{"__metadata__": 1}', '{"__metadata__": [["unrolled", "{}"]]}',
    '{"__metadata__": {"unrolled": {"format": 1}}}', '{"__metadata__": {}, "__metadata__": {}}',
    '{"__metadata__": {"unrolled": "\\ud800"}}',
])  # fmt: skip
def test_headers_that_are_none(made, header):
    assert "cannot be read: invalid " in _refusal(made(header))


def test_a_header_without_an_entry(made):
    for header in ("{}", '{"__metadata__": {}}', '{"__metadata__": {"Unrolled": "{}"}}'):
        assert "was not written by Unrolled" in _refusal(made(header))


@pytest.mark.parametrize(("entry", "words"), [
    ("", "no JSON"), ("{", "no JSON"), ("[]", "no dictionary"), ("null", "no dictionary"),
    ("[" * 100_000, "no JSON"), ('{"format": 1, "format": 1}', "there twice"),
    ('{"format": NaN}', "no finite number"), ('{"format": 1e999}', "no finite number"),
    ('{"format": 1, "settings": {"n_x": -Infinity}}', "no finite number"), (f'{{"format": {LONG}}}', "no JSON"),
    ("{}", "no known format"), ('{"format": 0, "settings": {}}', "no known format"),
    ('{"format": true, "settings": {}}', "no known format"), ('{"format": -1}', "no known format"),
    ('{"format": 1.0, "settings": {}}', "no known format"), ('{"format": 1}', "no known format"),
    ('{"format": "1", "settings": {}}', "no known format"), ('{"format": [1]}', "no known format"),
    ('{"format": 1, "settings": {}, "checksum": ""}', "no known format"),
    ('{"format": 2, "settings": {}}', "no known format"),
])  # fmt: skip
def test_entries_that_are_none(made, entry, words):
    sentence = _refusal(made({"__metadata__": {"unrolled": entry}}))
    assert "is damaged: its entry 'unrolled'" in sentence
    assert words in sentence


@pytest.mark.parametrize(("changes", "words"), [
    ({"kind": "evil"}, "nothing that is known"), ({"kind": ["model"]}, "nothing that is known"),
    ({"kind": None}, "nothing that is known"), ({"content": []}, "nothing that is known"),
    ({"content": {"step": 4}}, "does not have its checksum"), ({"checksum": 3}, "its checksum"),
    ({"needs": "0.0.1"}, "its checksum"), ({"needs": [[]]}, "its checksum"),
    ({"written_by": "0.9.0"}, "its checksum"), ({"checksum": ""}, "its checksum"),
])  # fmt: skip
def test_entries_that_were_changed(file, changes, words):
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    entry = json.loads(header["__metadata__"]["unrolled"]) | changes
    header["__metadata__"]["unrolled"] = json.dumps(entry)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert words in _refusal(file)
    assert "is damaged" in _refusal(file)


INVALID = "cannot be read: invalid JSON in header"
UNFIT = "cannot be read: invalid shape, data type, or offset for tensor"
UNCOVERED = "cannot be read: incomplete metadata, file not fully covered"


@pytest.mark.parametrize(("tensors", "words"), [
    ({"W": 1}, INVALID), ({"W": {}}, INVALID),
    *[({"W": _tensor(dtype, (size,))}, f"tensor W is {dtype}: expected an array of float64") for dtype, size in
      [("BF16", 8), ("F8_E4M3", 16), ("F4", 32), ("C64", 2), ("F16", 8), ("BOOL", 16)]],
    *[({"W": _tensor(dtype)}, INVALID) for dtype in ("f64", "", "O", ["F64"], None)],
    ({"W": _tensor(dtype="F" * 10_000)}, "FFFF…"),
    *[({"W": _tensor(shape=shape)}, INVALID) for shape in
      [(-2,), (-1, -2), (2.0,), (True, 2), ("2",), ([2],), (10**4000, 10**4000)]],
    ({"W": _tensor() | {"shape": 2}}, INVALID),
    ({"W": _tensor(shape=[1] * 64 + [2])}, "dimension"),
    ({"W": _tensor(shape=(2**63, 2**63))}, "overflow"), ({"W": _tensor(shape=(2**61 + 2,))}, "overflow"),
    ({"W": _tensor(shape=(0, 2**62), offsets=(0, 0))}, "cannot be read: "),
    ({"W": _tensor(shape=(3,))}, UNFIT), ({"W": _tensor(shape=())}, UNFIT),
    ({"W": _tensor(offsets=(16, 0))}, "cannot be read: invalid offset"),
    *[({"W": _tensor(offsets=offsets)}, INVALID) for offsets in ((-16, 0), (16,), (0.0, 16.0))],
    ({"W": _tensor() | {"data_offsets": None}}, INVALID),
    ({"W": _tensor(offsets=(8, 24))}, "invalid offset for tensor `W`"),
    ({"W": _tensor(), "V": _tensor(offsets=(8, 24))}, "invalid offset for tensor `V`"),
    ({"W": _tensor(), "V": _tensor()}, "invalid offset for tensor"),
    ({"W": _tensor(), "V": _tensor(offsets=(24, 40))}, "invalid offset for tensor `V`"),
    ({"W": _tensor(shape=(4,), offsets=(0, 32))}, UNCOVERED),
    ({"W": _tensor(shape=(10**15,), offsets=(0, 8 * 10**15))}, UNCOVERED),
    ({}, UNCOVERED), ({"W": _tensor(shape=(1,), offsets=(0, 8))}, UNCOVERED),
    ({"": _tensor()}, "1 to 200 printable"), ({"a\0b": _tensor()}, r"'a\x00b'"),
    ({"a\n\x1b[31mb": _tensor()}, "printable"), ({"\u202e": _tensor()}, "printable"),
    ({"n" * 100_000: _tensor()}, "nnnn…nnnn"), ({"\ud800": _tensor()}, INVALID),
])  # fmt: skip
def test_tensors_that_are_none(made, tensors, words):
    sentence = _refusal(made({"__metadata__": _entry(), **tensors}, b"\0" * 16))
    assert words in sentence or len(sentence) == 300


@pytest.mark.parametrize(("name", "texts", "is_read"), [
    ("__metadata__", ['{"unrolled": TRUE, "unrolled": EVIL}'], False),
    ("__metadata__", ['{"unrolled": EVIL, "unrolled": TRUE}'], True),
    ("__metadata__", ['{"unrolled": TRUE}'] * 2, False),
    ("W_aa", ["TRUE", "EVIL"], False), ("W_aa", ["EVIL", "TRUE"], True), ("W_aa", ["TRUE"] * 2, True),
])  # fmt: skip
def test_what_is_there_twice_is_refused_or_is_what_was_written(file, name, texts, is_read):
    """The library takes the last of a name, and that must have the checksum."""
    content, expected = file.read_bytes(), read(file, "model")
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    true = header.pop(name)
    if name == "W_aa":
        evil = true | {"shape": [3, 2]}
    else:
        true = true["unrolled"]
        evil = json.dumps(json.loads(true) | {"content": {"step": 4}})
    pairs = [f'"{other}": {json.dumps(value)}' for other, value in header.items()]
    for text in texts:
        text = text.replace("TRUE", json.dumps(true)).replace("EVIL", json.dumps(evil))
        pairs.append(f'"{name}": {text}')
    text = ("{" + ", ".join(pairs) + "}").encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert _reads_the_same_or_refuses(file, expected) == is_read


def test_a_name_is_never_a_path(made):
    path = made({"__metadata__": _entry(), "../../etc/passwd": _tensor()}, b"\0" * 16)
    assert read(path, "model")[1].keys() == {"../../etc/passwd"}


CLIMBS = """
import sys
from pathlib import Path
from unrolled import UnrolledError
from unrolled.tensor_file import read
def peak():
    status = Path("/proc/self/status").read_text()  # getrusage has the parent's peak in it
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
before = peak()
try:
    read(Path(sys.argv[1]), "model")
except UnrolledError:
    pass
print(peak() - before)
"""


def _taken(path):
    """How many bytes of memory a process takes that reads a file."""
    program = [sys.executable, "-c", CLIMBS, str(path)]
    return int(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def _many(unit, before="", behind=""):
    room = tensor_file.LARGEST_HEADER - len(before) - len(behind)
    return before + unit * (room // len(unit)) + behind


def _many_tensors():
    described = '"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    entry = '{"__metadata__":{"unrolled":"{\\"format\\":1,\\"settings\\":{}}"},'
    return entry + ",".join(described % k for k in range(56_000)) + "}"


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="Linux says what memory was taken"
)
@pytest.mark.parametrize("header", [
    _many("[],", '{"a":[', "0]}"), _many("0.5,", '{"a":[', "0]}"),
    _many("[],", '{"__metadata__":{"unrolled":"[', '0]"}}'), _many_tensors(),
], ids=["lists", "numbers", "entry", "tensors"])  # fmt: skip
def test_hostile_headers_take_little_memory(made, header):
    assert len(header) > 3_000_000
    assert _taken(made(header)) < 120 * 2**20


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="Linux says what memory was taken"
)
def test_reading_takes_the_size_of_the_file(tmp_path):
    path = tmp_path / "file.safetensors"
    write(path, "model", {}, {f"W{k}": np.ones(2**20) for k in range(4)})
    assert _taken(path) < 1.3 * path.stat().st_size


# ── damage ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.safetensors"
    write(path, "model", {"n_x": 3, "text": "é"}, {"W": np.array([1.5, -2.0]), "n": np.array([3])})
    return path


def _reads_the_same_or_refuses(path, expected):
    try:
        content, tensors = read(path, "model")
    except UnrolledError as error:
        _is_one_sentence(error)
        return False
    assert content == expected[0]
    _same(tensors, expected[1])
    return True


def test_no_bit_flips_unseen(small):
    """Every bit of a file; the few that may flip are in spaces, or in how a character is spelt."""
    content, expected, unharmed = small.read_bytes(), read(small, "model"), 0
    with open(small, "r+b", buffering=0) as file:  # in place, for a new file takes longer
        for bit in range(8 * len(content)):
            whole = content[bit // 8 : bit // 8 + 1]
            file.seek(bit // 8)
            file.write(bytes([whole[0] ^ 1 << bit % 8]))
            unharmed += _reads_the_same_or_refuses(small, expected)
            file.seek(bit // 8)
            file.write(whole)
    assert small.read_bytes() == content
    assert unharmed < 40


def test_every_truncation_is_seen(small):
    length = small.stat().st_size
    os.truncate(small, length + 1)
    assert UNCOVERED in _refusal(small)
    for shorter in reversed(range(length)):
        os.truncate(small, shorter)
        _refusal(small)


def test_a_file_that_is_cut_while_it_is_read(small, monkeypatch):
    """A program that maps it would be killed."""
    real = tensor_file.read_entry

    def cut_then(*arguments):
        os.truncate(small, small.stat().st_size - 9)
        return real(*arguments)

    monkeypatch.setattr(tensor_file, "read_entry", cut_then)
    assert "cannot be read: " in _refusal(small)


def test_splices_are_seen(small, file, tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "spliced.safetensors"
    texts, expected = (small.read_bytes(), file.read_bytes()), read(small, "model")
    for _ in range(200):
        begin, end = sorted(random.integers(0, len(texts[0]) + 1, 2))
        source = texts[random.integers(2)]
        start = random.integers(0, len(source))
        middle = source[start : start + (end - begin if random.random() < 0.7 else 9)]
        path.write_bytes(texts[0][:begin] + middle + texts[0][end:])
        _reads_the_same_or_refuses(path, expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(header=st.dictionaries(
    st.text(max_size=9) | st.just("__metadata__"),
    JSON | st.fixed_dictionaries({"dtype": st.sampled_from(["F64", "U8"]) | JSON, "shape": JSON,
                                  "data_offsets": st.lists(st.integers(0, 24), max_size=3) | JSON}),
    max_size=4), behind=st.binary(max_size=24))  # fmt: skip
def test_any_header_is_read_or_refused(tmp_path_factory, header, behind):
    header.setdefault("__metadata__", _entry())
    text = json.dumps(header).encode()
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + behind)
    try:
        read(path, "model")
    except UnrolledError as error:
        _is_one_sentence(error)
