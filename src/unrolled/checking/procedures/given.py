"""What their functions are given: sizes, a short stream of symbols and its windows in several layouts, words."""

import ast
import dataclasses
import itertools
import random
from typing import Any

import numpy as np

from unrolled.checking.procedures.tracing import named

Array = Any

SYMBOLS = 5
WINDOWS = 3  # of an epoch
SIZES = {"n_symbols": SYMBOLS, "n_a": 8, "m": 3, "T": 5}
PLAIN = {"learning_rate": 0.1, "epochs": 3, "iterations": 10, "limit": 1.0, "seed": 0, "quiet": False,
         "eps": 1e-5, "first": 0, "length": 10, "stop": 0, "temperature": 1.0}  # fmt: skip
LAYOUTS = ("nmT", "mTn", "Tnm", "Tmn", "ids", "mT", "nT", "Tn")  # of the inputs, by their axes


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to call a training: what stands for which arguments, how inputs lie, whether sizes are ours."""

    roles: dict[str, str] = dataclasses.field(default_factory=dict)
    layout: str = LAYOUTS[0]
    small: bool = False


def alphabet(n: int, lines: bool) -> str:
    """Return n letters, the first of them the end of a line where a program has lines."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ("\n" + letters)[:n] if lines else letters[:n]


def stream(sizes: dict[str, int], layout: str = LAYOUTS[0], lines: bool = False) -> dict[str, Any]:
    """Symbols in no order, enough for three windows; the same symbols as one window; words of them.

    `layout` names the axes of the window: n symbols, m examples, T steps; "ids" is a list of ids.
    """
    rng = np.random.default_rng(7)
    m, T, n = sizes["m"], sizes["T"], sizes["n_symbols"]
    if layout != LAYOUTS[0] and n == T:
        sizes, T = sizes | {"T": T - 1}, T - 1  # no two axes alike
    ids = rng.integers(n, size=WINDOWS * m * T + m + 1)
    ids[:n] = range(n)  # each symbol is there
    letters = alphabet(n, lines)
    words = [rng.integers(int(lines), n, size=k) for k in (4, 6, 5, 7, 4, 5, 6, 4)]
    X, Y, state = _window(ids, sizes, layout)
    return {
        "ids": ids, "text": "".join(letters[i] for i in ids), "X": X, "Y": Y, "state": state,
        "to_index": {c: i for i, c in enumerate(letters)}, "to_symbol": dict(enumerate(letters)),
        "words": ["".join(letters[i] for i in word) for word in words],
        "sequences": [word.tolist() for word in words],
        "pairs": [(word[:-1].tolist(), word[1:].tolist()) for word in words],
    }  # fmt: skip


def _window(ids: Array, sizes: dict[str, int], layout: str) -> tuple[Any, Any, Array]:
    """The inputs, targets and initial state of one window of a stream."""
    m, T, n, n_a = (sizes[k] for k in ("m", "T", "n_symbols", "n_a"))
    if layout in ("ids", "nT", "Tn"):
        one = [np.eye(n)[ids[k : k + T]] for k in (0, 1)]
        pair = [ids[k : k + T].tolist() for k in (0, 1)] if layout == "ids" else (
            [v.T if layout == "nT" else v for v in one])  # fmt: skip
        return pair[0], pair[1], np.zeros(n_a) if layout == "Tn" else np.zeros((n_a, 1))
    one_hot = np.eye(n)[ids[: m * T + 1]].T
    X, Y = one_hot[:, :-1].reshape(n, m, T), one_hot[:, 1:].reshape(n, m, T)
    if layout == "mT":
        return X.argmax(0), Y.argmax(0), np.zeros((m, n_a))
    axes = ["nmT".index(axis) for axis in layout]
    rows = layout.index("m") < layout.index("n")
    return X.transpose(axes), Y.transpose(axes), np.zeros((m, n_a) if rows else (n_a, m))


def generator(tree: ast.AST, is_generator: Any, seed: int) -> Any:
    """Return a generator of the kind whose methods they call."""
    used = {
        n.attr
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and is_generator(named(n.value))
    }
    if used & {"rand", "randn", "randint", "random_sample"}:
        return np.random.RandomState(seed)
    return random.Random(seed) if used & {"choices", "gauss"} else np.random.default_rng(seed)


def ways(names: dict[str, tuple[str, ...]], direct: bool, small: bool) -> list[Way]:
    """Return ways to try one after another, the most likely first.

    `names` are arguments with what they may stand for; `direct` says that inputs are given as arrays.
    """
    sizes = (True, False) if small else (False,)
    many = [dict(zip(names, roles, strict=True)) for roles in itertools.product(*names.values())]
    found = [Way(roles, small=s) for roles in many[:MOST] for s in sizes]
    layouts = LAYOUTS[1:] if direct or any("X" in roles for roles in names.values()) else ()
    shown = [r for r in many if direct or "X" in r.values()]
    return found + [Way(r, layout, s) for r in shown[:3] for layout in layouts for s in sizes]


MOST = 12  # ways to read the names that are tried
