"""Named tensors and what is to be known about them, in one safetensors file: models, checkpoints.

The safetensors library writes and reads the file. Here is what it does not do: the entry that says
what the file is, the checksum, and a look at what may come from anyone, before the library has it and
after. Nothing is unpickled, and no name in a file becomes a path. docs/model-files.md has the format.
"""

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

import unrolled
from unrolled.errors import UnrolledError, one_line
from unrolled.file_entry import (
    FORMAT,
    KINDS,
    NEEDS,
    Entry,
    check_needs,
    from_text,
    read_entry,
    to_text,
)
from unrolled.files import write_bytes

Array = Any

LARGEST_HEADER = 4 * 2**20  # bytes; 30,000 tensors; what is made of it in memory stays bounded too

_CODES = {  # as the format has them
    np.dtype(code): f"{code[0].upper()}{8 * int(code[1])}"
    for code in ("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
}
_FOREIGN = {
    b"PK": "a zip archive, as PyTorch and NumPy write them, begins so",
    b"\x89HDF": "an HDF5 file begins so",
    b"\x80": "a pickle begins so, and nothing is unpickled",
}


def write(path: Path, kind: str, content: dict[str, Any], tensors: Mapping[str, Array]) -> None:
    """Write a file of a kind, "model" or "checkpoint", whole or not at all.

    `content` is what JSON can hold: dictionaries by text (their order is not kept), lists, texts,
    finite numbers. `tensors` are arrays of float64, float32 or whole numbers. The same of both gives
    the same bytes. Raises UnrolledError where the file cannot be written.
    """
    try:
        text = _file(kind, content, tensors)
    except ValueError as error:
        raise refusal(path, kind, f"cannot be written: {error}") from None
    write_bytes(path, text)


def read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return what `write` was given, the tensors in C order, each with memory of its own.

    Raises UnrolledError where there is no such file, where it is damaged or of another kind, and where
    a newer version is needed.
    """
    try:
        _check_beginning(path)
        return _read(path, kind)
    except UnrolledError as error:
        raise refusal(path, kind, str(error)) from None
    except FileNotFoundError:
        raise refusal(path, kind, "is not there") from None
    except MemoryError:
        raise refusal(path, kind, "cannot be read: there is too little memory for it") from None
    except Exception as error:  # of the system, of the library, of a path that is none
        reason = getattr(error, "strerror", None) or str(error)
        reason = reason.removeprefix("Error while deserializing header: ")
        raise refusal(path, kind, f"cannot be read: {reason}") from None


def refusal(path: Path, kind: str, reason: str) -> UnrolledError:
    """Return the error that says in one line what is wrong with a file of a kind."""
    return UnrolledError(one_line(f"{KINDS[kind]} {path} {reason}"))


# Below, UnrolledError says how a file is; a ValueError says why it cannot be written, or read.


def _file(kind: str, content: dict[str, Any], tensors: Mapping[str, Array]) -> bytes:
    arrays = {name: _stored(name, tensors[name]) for name in tensors}
    entry = {
        "format": FORMAT, "kind": kind, "written_by": unrolled.__version__, "needs": NEEDS,
        "content": _as_read(content),
    }  # fmt: skip
    entry["checksum"] = _checksum(entry, arrays)
    text = safetensors.numpy.save(arrays, {"unrolled": to_text(entry)})
    length = int.from_bytes(text[:8], "little")
    if length > LARGEST_HEADER:
        raise ValueError(f"its header has {length} bytes, expected at most {LARGEST_HEADER}")
    return text


def _stored(name: str, value: Array) -> Array:
    """Return an array as the library asks for it: in C order, or it would write other numbers."""
    dtype: Any = type(value).__name__
    if isinstance(value, np.ndarray):
        dtype = value.dtype.newbyteorder("=")
    _check(name, _CODES.get(dtype, dtype))
    return np.asarray(value, dtype, order="C")


def _check(name: Any, code: Any) -> None:
    """A name is one that a sentence can hold, and a dtype one that networks have."""
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= 200:
        raise ValueError(f"a tensor is named {name!r}: expected 1 to 200 printable characters")
    if name == "__metadata__":
        raise ValueError("no tensor may be named __metadata__")
    if code not in _CODES.values():
        expected = "expected an array of float64, float32 or whole numbers"
        raise ValueError(f"tensor {name} is {code}: {expected}")


def _as_read(content: dict[str, Any]) -> Any:
    """Return content as it will be read, so that the checksum is of that."""
    try:
        return from_text(to_text(content))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its content cannot be JSON: {error}") from None


def _checksum(entry: Entry, arrays: Mapping[str, Array]) -> str:
    """Return the SHA-256 of the entry, of every tensor's name, dtype and shape, and of all numbers."""
    names = sorted(arrays)
    described = [[name, _CODES[arrays[name].dtype], list(arrays[name].shape)] for name in names]
    digest = hashlib.sha256(to_text([entry, described]).encode())
    for name in names:
        flat = arrays[name].reshape(-1)
        digest.update(flat.astype(flat.dtype.newbyteorder("<"), copy=False))
    return digest.hexdigest()


def _check_beginning(path: Path) -> None:
    """Keep from the library what has no end, and what has a header that would fill the memory."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnrolledError("is a folder" if path.is_dir() else "is no ordinary file")
    with open(path, "rb") as file:
        start = file.read(8)
    length = int.from_bytes(start, "little")
    if not start:
        raise UnrolledError("is empty")
    if len(start) < 8 or length > min(found.st_size - 8, LARGEST_HEADER):
        raise UnrolledError(_no_header(start, length, found.st_size))


def _no_header(start: bytes, length: int, size: int) -> str:
    for begin, what in _FOREIGN.items():
        if start.startswith(begin) and length > LARGEST_HEADER:
            return f"is no safetensors file: {what}"
    if len(start) == 8 and length <= size - 8:
        return f"cannot be read: its header has {length} bytes, expected at most {LARGEST_HEADER}"
    return (
        f"is cut short, or is no safetensors file: it has {size} bytes, "
        f"and the first eight announce a header of {length}"
    )


def _read(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    # Not by mapping the file: the system kills who reads a mapped file that another cuts short.
    with safetensors.safe_open(path, framework="numpy", backend="pread") as file:
        metadata = file.metadata() or {}
        if "unrolled" not in metadata:
            raise UnrolledError("was not written by Unrolled: it has no entry of that name")
        entry = read_entry(metadata["unrolled"], kind)
        arrays = {name: _array(file, name) for name in sorted(file.keys())}
    if entry["format"] > 1 and entry.pop("checksum") != _checksum(entry, arrays):
        raise UnrolledError("is damaged: what it holds does not have its checksum")
    check_needs(entry)
    return entry["content"], arrays


def _array(file: Any, name: str) -> Array:
    _check(name, file.get_slice(name).get_dtype())
    return file.get_tensor(name)
