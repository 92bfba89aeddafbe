"""Weights where people keep them: attributes of objects in objects, dictionaries by gate, values of parameters."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.checking.calling.entries import VALUES
from unrolled.checking.calling.layouts import group
from unrolled.checking.names import GATES, gate_of, gradient_words, is_parameter, meanings

_GRADIENTS = {"d", "g", "grad", "gradient", "dv", "dvalue"}
_KIND = re.compile(r"(d|g|grad_?|d_)?([wurvb]|weights?|bias(es)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Held:
    """One thing in an object or dictionary: `word` says by its own name and that of its `holder` what
    it is, `kept[key]` is the thing; `path` is that of the holder.
    """

    path: str
    kept: dict[str, Any]
    key: str
    word: str

    @property
    def listed(self) -> bool:
        """Whether its holder is one of a list."""
        return re.search(r"\[\]\.\d+$", self.path) is not None

    @property
    def shown(self) -> str:
        """What it is called in their code, about."""
        path = re.sub(r"\[\]\.(\d+)", r"[\1]", f"{self.path}.{self.key}")
        return re.sub(r"\[\]\.(\w+)", r"['\1']", path)

    @property
    def value(self) -> Any:
        return self.kept[self.key]


def holders(name: str, held: Any, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the attributes of an object, of the objects of their classes in it, or in its lists and
    dictionaries, and these dictionaries.
    """
    kept = vars(held)
    yield name, kept
    for key, value in list(kept.items()):
        if isinstance(value, dict):
            yield f"{name}.{key}[]", value
        for word, one in _within(key, value):
            theirs = type(one).__module__ == type(held).__module__ and hasattr(one, "__dict__")
            if theirs and depth < 2:
                path = f"{name}.{key}" if one is value else f"{name}.{key}[].{word}"
                yield from holders(path, one, depth + 1)


def _within(key: str, value: Any) -> list[tuple[Any, Any]]:
    """Return what a value holds by key, or by number in a list, or itself."""
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else [(key, value)]


def roots(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the globals that hold things by name: dictionaries, and objects of the file's own classes."""
    own = namespace.get("__name__")
    found = {n: v for n, v in namespace.items() if n[:2] != "__"}
    return {
        name: value for name, value in found.items()
        if type(value) is dict or (type(value).__module__ == own and hasattr(value, "__dict__"))
    }  # fmt: skip


def joined(holder: str, word: str) -> str:
    """Return the name of what stands as `word` in something called `holder`: U_forget, W_update, dW_f."""
    told = len(holder) + len(word) > 2  # `g` of `W` is a gate
    if told and word in VALUES:
        return holder
    if told and word in _GRADIENTS:
        return f"d{holder}"
    return f"{holder}_{word}" if _KIND.fullmatch(holder) else f"{word}_{holder}"


def inside(name: str, root: Any) -> Iterator[Held]:
    """Yield what stands in an object's inner objects and dictionaries, or in a dictionary."""
    all_of_them = [(f"{name}[]", root)] if isinstance(root, dict) else holders(name, root)
    for path, kept in all_of_them:
        inner = re.split(r"\.", path)[-1].removesuffix("[]")
        for key in [k for k in kept if isinstance(k, str)]:
            yield Held(path, kept, key, joined(inner, key) if path != name else key)


def replaced(kept: dict[str, Any], key: str, new: Any) -> None:
    """Put an array in the place of another, and zeros of its shape in that of what is beside it for its
    gradient: what has its name in its own, or stands with it in one object.
    """
    old = kept[key]
    for name, value in kept.items() if old.shape != new.shape else ():
        beside = key in name or key in VALUES
        if (
            beside
            and isinstance(value, np.ndarray)
            and value.shape == old.shape
            and not value.any()
        ):
            kept[name] = np.zeros_like(new)
    kept[key] = new


def split_up(name: str, root: Any, cell: str) -> list[Held]:
    """Return the arrays that are told apart only with the names of what holds them, `W` of each gate; no
    gradients of what stands beside them.
    """
    arrays = [h for h in inside(name, root) if isinstance(h.value, np.ndarray) and h.word != h.key]
    words = {word for h in arrays for word in (h.key, h.word)}
    gradients = set().union(*map(gradient_words, words))
    arrays = [h for h in arrays if not {_plain(h.key), _plain(h.word)} & gradients]
    often = Counter(h.key for h in arrays)
    return [h for h in arrays if often[h.key] > 1 or not _is_weight(h.key, cell)]


def _plain(word: str) -> str:
    return word.lower().replace("_", "")


def _is_weight(word: str, cell: str) -> bool:
    return any(is_parameter(q) for q in meanings(word, cell)[:1])


def by_shape(word: str, shape: tuple[int, ...], cell: str, sizes: Mapping[str, int]) -> str:
    """Return the (pseudo-) parameter that an array of this shape is, where the sizes all differ; "" where
    that is not certain. `word` tells the gate, and a bias from a column of weights.
    """
    n_x, n_a, n_y = (sizes[name] for name in ("n_x", "n_a", "n_y"))
    gates, gate = len(GATES[cell]), gate_of(word, cell)
    several = {gates: GATES[cell], gates - 1: GATES[cell].replace("c", "")} if gates > 1 else {}
    if len(shape) > 2:
        return ""
    if _says_bias(word) and 1 in (len(shape), *shape):
        joined = {k * n_a: group(letters, cell, "b") for k, letters in several.items()}
        own = {n_a: f"b_{gate}"} if gate else {}
        return {**own, **joined, n_y: "b_y", 1: "b_y"}.get(int(np.prod(shape)), "")
    apart = {(n_a, n_x): "x", (n_a, n_a): "a", (n_a, n_a + n_x): ""}
    known = {tuple(sorted(s)): f"W_{gate}{side}" for s, side in apart.items()} if gate else {}
    if gates > 1:
        together = {n_x: "x", n_a: "a", n_a + n_x: ""}
        known |= {tuple(sorted((n, k * n_a))): group(letters, cell, side)
                  for n, side in together.items() for k, letters in several.items()}  # fmt: skip
    known |= {tuple(sorted((n, n_a))): "W_ya" for n in (n_y, 1)}
    return known.get(tuple(sorted(shape)), "")


def _says_bias(word: str) -> bool:
    return word[:1] in "bB" or "bias" in word.lower() or word.lower().endswith("_b")
