"""What is explained: an example at hand, one in a file, or a piece of text in a run's network.

The examples at hand are files in this folder, of the kind that anyone may write: JSON (or .npz, with
arrays by the same names) with `cell`, `sizes`, `x`, `y`, `a0`, `parameters`, …; what is left out is drawn.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.equations.step import build_step
from unrolled.errors import UnrolledError, about, one_line, whole_number
from unrolled.explaining.descent import check_story
from unrolled.explaining.examples.runs import read_text
from unrolled.explaining.explanation import Explanation, explain
from unrolled.files import read_bytes
from unrolled.network import Network
from unrolled.notation import parse_shape

Array = Any
_FOLDER = Path(__file__).parent
_SIZES = {"n_x": 3, "n_a": 4, "n_y": 2, "m": 2, "T": 5}
_WORDS = ("title", "cell", "activation", "output", "loss", "reduction")
_MOST = 10_000_000  # numbers of a quantity over all steps, about


def names() -> list[str]:
    """Return the names of the examples at hand."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def read_example(
    what: str, cell: str | None = None, seed: int | None = None,
    sizes: Mapping[str, int] | None = None, text: str | None = None,
) -> Explanation:  # fmt: skip
    """Return the explanation of an example: its name, the path of a JSON or .npz file, or a run folder
    whose network reads `text`.

    `cell`, `seed` and `sizes` take the place of what the example says. Raises UnrolledError where
    there is no such example, or something in it cannot be used.
    """
    path = Path(what)
    if what not in names() and path.is_dir():
        if seed is not None or sizes is not None:
            raise UnrolledError(
                f"{path} is a run, and nothing of it is drawn: expected no other sizes or seed"
            )
        return read_text(path, text, cell)
    if text is not None:
        raise UnrolledError(
            one_line(f"text came with {what!r}: expected a run folder, whose network reads it")
        )
    if what in names():
        path = _FOLDER / f"{what}.json"
    elif path.suffix not in (".json", ".npz"):
        raise UnrolledError(
            f"example {one_line(repr(what), 80)} is not known: expected {', '.join(names())}, a JSON or .npz file, or a "
            "run folder"
        )
    told = _read_npz(path) if path.suffix == ".npz" else _read_json(path)
    with about(path.name if what in names() else what):
        said = {"cell": cell, "seed": seed, "sizes": sizes}
        return _made(told | {name: value for name, value in said.items() if value is not None})


def _read_json(path: Path) -> dict[str, Any]:
    content = read_bytes(path)
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnrolledError(one_line(f"{path} is no JSON that can be read: {error}")) from None
    if not isinstance(told, dict):
        raise UnrolledError(f"{path} holds {type(told).__name__}: expected names with values")
    return told


def _read_npz(path: Path) -> dict[str, Any]:
    content = io.BytesIO(read_bytes(path))
    try:
        with np.load(content, allow_pickle=False) as file:
            return {name: file[name] if file[name].ndim else file[name].item() for name in file}
    except (
        Exception
    ) as error:  # of NumPy, zipfile, zlib, the parser of a header: all say that it is none
        raise UnrolledError(one_line(f"{path} is no .npz that can be read: {error}")) from None


def _made(told: Mapping[str, Any]) -> Explanation:
    """Return the explanation of what a file tells, with what it leaves out drawn from its seed."""
    words: dict[str, Any] = {
        name: _word(name, told[name]) for name in _WORDS if told.get(name) is not None
    }
    title, reduction = words.pop("title", ""), words.pop("reduction", "mean")
    step = build_step(**{"cell": "rnn", **words})
    arrays = _arrays(told, step)
    sizes = _sizes(told.get("sizes", {}), arrays)
    seed = whole_number("seed", told.get("seed", 0), 0)
    net = Network(n_x=sizes["n_x"], n_a=sizes["n_a"], n_y=sizes["n_y"], seed=seed, **words)
    drawn = _drawn(net, sizes, np.random.default_rng(seed))
    for name, parameter in net.parameters.items():
        parameter[...] = _fitted(name, arrays.get(name, drawn[name]), parameter.shape)
    state = {
        s: _fitted(f"{s}0", arrays.get(f"{s}0", drawn[f"{s}0"]), drawn[f"{s}0"].shape)
        for s in step.states
    }
    given = [_as_labels(arrays[n], sizes) if n in arrays else drawn[n] for n in ("x", "y")]
    X, Y = (
        value if value.dtype.kind in "iu" else _fitted(n, value, shape)
        for n, value, shape in zip("xy", given, _shapes(sizes), strict=True)
    )
    title = title or f"{step.cell.name}, drawn from seed {seed}"
    explanation = explain(net, X, Y, state, reduction, title)
    story, labels = told.get("story"), _labels(told.get("labels", []))
    return replace(
        explanation, labels=labels, story=None if story is None else check_story(story, sizes)
    )


def _labels(labels: Any) -> tuple[str, ...]:
    if isinstance(labels, np.ndarray):  # of an .npz
        labels = labels.tolist()
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UnrolledError(f"labels is {one_line(repr(labels), 60)}: expected a list of texts")
    return tuple(labels)


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UnrolledError(f"{name} is {one_line(repr(value), 60)}: expected a word")
    return value


def _shapes(sizes: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
    return tuple((sizes[n], sizes["m"], sizes["T"]) for n in ("n_x", "n_y"))


def _drawn(net: Network, sizes: Mapping[str, int], random: np.random.Generator) -> dict[str, Array]:
    """Draw all that an example may leave out, in numbers of two decimals; no bias is 0."""
    m, T = sizes["m"], sizes["T"]
    found = {
        name: np.round(value + 0.1 * random.standard_normal(value.shape), 2)
        for name, value in net.parameters.items()
    }
    for s in net.architecture.step.states:
        found[f"{s}0"] = np.round(0.5 * random.standard_normal((sizes["n_a"], m)), 2)
    found["x"] = np.round(random.standard_normal((sizes["n_x"], m, T)), 2)
    output, n_y = net.architecture.step.prediction.name, sizes["n_y"]
    if output == "softmax":
        return found | {"y": random.integers(0, n_y, (m, T))}
    return found | {"y": random.uniform(0, 1, (n_y, m, T)).round(2 if output == "linear" else 0)}


def _as_labels(array: Array, sizes: Mapping[str, int]) -> Array:
    """Return whole numbers (m, T), or (m,) of a last step, as labels; anything else as values."""
    m, T = sizes["m"], sizes["T"]
    labels = array.shape == (m, T) or (array.shape == (m,) and T > 1)
    return array if labels and array.dtype.kind in "iu" else array.astype(float)


def _arrays(told: Mapping[str, Any], step: Any) -> dict[str, Array]:
    """Return every array that is told, by name. Raises UnrolledError for what is none, or not known."""
    parameters = told.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise UnrolledError(
            f"parameters is {one_line(repr(parameters), 60)}: expected names with arrays"
        )
    known = {"x", "y", *step.parameters, *(f"{s}0" for s in step.states)}
    found = {**{n: v for n, v in told.items() if n in known}, **parameters}
    extra = [*(parameters.keys() - known), *(told.keys() - known - {*_WORDS, *_OTHERS, *_WRITTEN})]
    if extra:
        raise UnrolledError(
            f"{one_line(repr(sorted(extra)[0]), 60)} is nothing of a {step.cell.name}: expected {', '.join(sorted(known))}, "
            f"{', '.join((*_WORDS, *_OTHERS))}"
        )
    return {name: _array(name, value) for name, value in found.items()}


_OTHERS = ("labels", "story", "sizes", "seed", "parameters")
_WRITTEN = ("unrolled", "table", "numbers")  # what numbers.json has beside these


def _array(name: str, value: Any) -> Array:
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        raise UnrolledError(f"{name} has rows of different lengths: expected an array") from None
    if array.dtype.kind not in "iuf" or not array.size:
        raise UnrolledError(f"{name} is {one_line(repr(value), 60)}: expected an array of numbers")
    return array


def _sizes(told: Any, arrays: Mapping[str, Array]) -> dict[str, int]:
    """Return n_x, n_a, n_y, m, T: as they are told, or as the arrays have them, or the usual ones."""
    if not isinstance(told, Mapping) or told.keys() - _SIZES.keys():
        raise UnrolledError(
            f"sizes is {one_line(repr(told), 60)}: expected {', '.join(_SIZES)} with numbers"
        )
    found = {name: whole_number(name, size, 1) for name, size in told.items()}
    for name, array in arrays.items():
        if name not in ("x", "y"):
            found = _of_shape(name, array) | found
    for name, axis in (("x", "n_x"), ("y", "n_y")):
        if name in arrays:
            found = _of_sequences(name, arrays[name], axis, found) | found
    return _not_too_large(_SIZES | found)


def _not_too_large(sizes: dict[str, int]) -> dict[str, int]:
    """Raise UnrolledError where the numbers of all steps are more than anyone can look at, or memory hold."""
    n_x, n_a, n_y, m, T = (sizes[name] for name in _SIZES)
    if (count := T * (n_x + n_a + n_y) * (n_a + m)) > _MOST:
        raise UnrolledError(
            f"{', '.join(f'{name} = {size}' for name, size in sizes.items())} make about {count:.0e} numbers: "
            f"expected at most {_MOST:.0e} in T (n_x + n_a + n_y) (n_a + m)"
        )
    return sizes


def _of_shape(name: str, array: Array) -> dict[str, int]:
    """Return the sizes that a parameter's, or an initial state's, array has."""
    axes = parse_shape(notation.entry(name).shape)
    found = dict(zip(axes, array.shape, strict=False)) if array.ndim <= 2 else {}
    return {str(axis): size for axis, size in found.items() if axis in _SIZES}


def _of_sequences(name: str, array: Array, axis: str, known: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes that x or y has: (n, m, T), labels (m, T), or a single column (n,)."""
    if array.ndim == 3:
        return dict(zip((axis, "m", "T"), array.shape, strict=True))
    if array.ndim == 1:
        return {} if {"m", "T"} <= known.keys() else {axis: len(array), "m": 1, "T": 1}
    if array.ndim == 2 and array.dtype.kind in "iu":
        highest = int(array.max())
        classes = {axis: highest + 1} if highest >= 0 else {}  # −1 says that there is no target
        return {**classes, "m": array.shape[0], "T": array.shape[1]}
    if {"m", "T"} <= known.keys():
        return {}
    raise UnrolledError(f"{name} has shape {array.shape}: expected ({axis}, m, T)")


def _fitted(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    """Return an array in a shape; axes of 1 may be left out. Raises UnrolledError where it does not fit."""
    array = array.astype(float)
    if tuple(n for n in array.shape if n > 1) != tuple(n for n in shape if n > 1):
        raise UnrolledError(f"{name} has shape {array.shape}: expected {shape}")
    return array.reshape(shape)
