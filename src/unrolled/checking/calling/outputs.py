"""What comes out of a run: every returned, kept or attached array that its name gives a meaning."""

import ast
import functools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.checking.calling.entries import LOSS_WORDS, last_word, tokens
from unrolled.checking.calling.held import joined
from unrolled.checking.names import gradient_words, is_parameter, meanings

Array = Any
_LISTS = {"grads", "gradients", "grad", "dparams", "gradient", "d_params", "dtheta", "deltas"}

_OF_MANY = {"smooth", "running", "best", "prev", "previous", "last", "old", "history", "avg"}
_NO_LOSS = {"acc", "accuracy", "correct", "norm", "perplexity", "ppl", "count", "num", "scale"}


@dataclass(frozen=True)
class Output:
    """A value of theirs: `name` as they write it, `quantity` the legend's (or pseudo-) name, the value
    as it came, and `step` where it is that of one step.
    """

    name: str
    quantity: str
    value: Any
    step: int | None = None

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What tells an output from the others of a run."""
        return self.name, self.quantity, self.step


@dataclass(frozen=True)
class Returned:
    """The names of what a function returns, by position ("" where there is none), and whether that is
    one value; `inner` has the names inside those values that are tuples themselves.
    """

    names: tuple[str, ...]
    alone: bool
    inner: Mapping[int, tuple[str, ...]]


@functools.cache
def returned(f: ast.FunctionDef) -> Returned:
    """Return the names in a function's last `return`, following one name to the tuple it stands for."""
    inner = {id(n) for g in ast.walk(f) if isinstance(g, ast.FunctionDef | ast.Lambda) and g is not f
             for n in ast.walk(g)}  # fmt: skip
    found = [n for n in ast.walk(f) if isinstance(n, ast.Return) and id(n) not in inner]
    values = [n.value for n in sorted(found, key=lambda n: n.lineno) if n.value is not None]
    if not values:
        return Returned((), True, {})
    value = values[-1]
    if isinstance(value, ast.Name):
        assigned = [n.value for n in ast.walk(f) if isinstance(n, ast.Assign)
                    and isinstance(n.targets[0], ast.Name) and n.targets[0].id == value.id]  # fmt: skip
        value = (
            assigned[-1]
            if assigned and isinstance(assigned[-1], ast.Tuple | ast.List) and assigned[-1].elts
            else value
        )
    if isinstance(value, ast.Tuple | ast.List):
        inside = {
            k: tuple(map(_name, e.elts))
            for k, e in enumerate(value.elts)
            if isinstance(e, ast.Tuple)
        }
        return Returned(tuple(map(_name, value.elts)), False, inside)
    return Returned((_name(value),), True, {})


def _name(node: ast.expr) -> str:
    """Return the name of a returned expression: `hs` of `hs[T - 1]` and `np.array(hs)`."""
    if isinstance(node, ast.Call) and node.args and last_word(node.func) in (
        "array", "asarray", "stack", "squeeze", "float", "copy", "reversed",
    ):  # fmt: skip
        return _name(node.args[0])
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("copy", "item")
    ):
        return _name(node.func.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mult):
        return _name(node.left)  # loss / m
    word = last_word(node)
    held = isinstance(node, ast.Attribute | ast.Subscript) and word != last_word(node.value)
    of_gradients = held and last_word(node.value) in _LISTS and not word.startswith(("d", "grad"))  # type: ignore[attr-defined]
    return f"d{word}" if of_gradients else word


@dataclass(frozen=True)
class Collector:
    """Finds outputs. `weights` are the names of their weights with what each stands for, in the order
    of their list; `steps` is T, `over_time` the number of axes of an array over time, `time` which of
    them is the time. `apart`: their weights are named by what holds them, and gradients otherwise.
    """

    cell: str
    weights: Mapping[str, str]
    steps: int
    over_time: int
    single_steps: bool
    time: int
    apart: bool = False

    def of(self, name: str, word: str, value: Any) -> Iterator[Output]:
        """Yield what a value of theirs, called `name`, holds; `word` is the part that has a meaning."""
        if isinstance(value, Mapping):
            yield from self._of_mapping(name, word, value)
        elif isinstance(value, list | tuple):
            yield from self._of_list(name, word, value)
        elif word in _LISTS:
            return  # one of several, and nothing says which
        elif (array := _numbers(value)) is not None and (quantity := self.quantity(word, array)):
            yield Output(name, quantity, array)

    def _of_mapping(self, name: str, word: str, value: Mapping[Any, Any]) -> Iterator[Output]:
        for key, inner in value.items():
            if is_of_another(key, value) or joined(word, str(key)) in self.weights:
                continue
            if word in _LISTS and key in self.weights:
                if (array := _numbers(inner)) is not None:
                    yield Output(f"{name}[{key!r}]", f"d{self.weights[key]}", array)
            elif isinstance(key, str) and (quantity := self._of_weight(joined(word, key))):
                if (array := _numbers(inner)) is not None:
                    yield Output(f"{name}[{key!r}]", quantity, array)
            elif isinstance(key, str):
                of_gradients = word in _LISTS and not key.startswith(("d", "grad"))
                yield from self.of(f"{name}[{key!r}]", f"d{key}" if of_gradients else key, inner)
            elif isinstance(key, int | np.integer) and 0 <= key < self.steps:
                yield from self._of_step(f"{name}[{key}]", word, inner, int(key))

    def _of_list(
        self, name: str, word: str, value: list[Any] | tuple[Any, ...]
    ) -> Iterator[Output]:
        if word in _LISTS and len(value) == len(self.weights):
            for k, (quantity, inner) in enumerate(zip(self.weights.values(), value, strict=True)):
                if (array := _numbers(inner)) is not None:
                    yield Output(f"{name}[{k}]", f"d{quantity}", array)
            return
        first = len(value) - self.steps  # 1 where the initial state stands first
        gradient = word[:1] == "d" and (first, *meanings(word, self.cell)) != (0, "dx")
        if first in (0, 1) and not gradient:  # of which a list may be in any order
            for k in range(self.steps):
                yield from self._of_step(f"{name}[{k + first}]", word, value[k + first], k)

    def _of_step(self, name: str, word: str, value: Any, step: int) -> Iterator[Output]:
        array = _numbers(value)
        if array is None or not self._is_one_step(array):
            return
        of_input = meanings(word, self.cell) == ("dx",)
        quantity = "dx" if of_input else self.quantity(word, array)
        if quantity not in ("", "loss") and not is_parameter(quantity.removeprefix("d")):
            yield Output(name, quantity, array, step)

    def quantity(self, word: str, array: Array) -> str:
        """Return what a word means for an array, or "" where that is doubtful."""
        if gradient := self._of_weight(word):
            return gradient
        found = [q for q in meanings(word, self.cell) if q not in ("x", "y", "a_prev", "c_prev")]
        found = [q for q in found if not is_parameter(q) and not is_parameter(q[1:])]
        if array.ndim == 0 or array.size == 1:
            return "loss" if "loss" in found or says_loss(word) else ""
        one_step = self._is_one_step(array)
        if found[:1] in (["da_prev"], ["dc_prev"]):
            return found[0] if not one_step else f"{found[0][:2]}0"
        if len(found) != 1 or found[0] == "loss":
            return ""
        if (
            one_step
            and not self.single_steps
            and found[0][:1] == "d"
            and found[0] not in ("da0", "dc0")
        ):
            return ""  # what is left of the last turn of a loop
        return found[0]

    def names_weight(self, word: str) -> str:
        """Return the gradient of that weight of theirs which a word names, or ""."""
        gradients = (f"d{of}" for name, of in self.weights.items()
                     if word.lower().replace("_", "") in gradient_words(name))  # fmt: skip
        return next(gradients, "")

    def _of_weight(self, word: str) -> str:
        """Return the gradient of a weight of theirs that a word names, or means, or ""."""
        if (gradient := self.names_weight(word)) or not self.apart:
            return gradient
        kept = {f"d{of}" for of in self.weights.values()}
        return next((q for q in meanings(word, self.cell)[:1] if q in kept), "")

    def _is_one_step(self, array: Array) -> bool:
        """Return whether an array is of one step; where there is no batch axis, it may be a column."""
        if self.over_time == 2 and array.ndim == 2 and not self.single_steps:
            return int(array.shape[self.time]) not in (self.steps, self.steps + 1)
        return bool(array.ndim < self.over_time)


def unnamed(function: str, k: int) -> str:
    """Return what the k-th value that a function returns is called where it has no name."""
    return f"{function}(…)[{k}]"


def says_loss(word: str) -> bool:
    """Return whether a name says that it holds a loss of this call: no mean over many calls."""
    said = set(tokens(word))
    return bool(said & LOSS_WORDS) and not said & _OF_MANY


def may_be_loss(word: str, value: Any) -> bool:
    """Return whether a scalar that comes back with gradients may be the loss, whatever its name is."""
    number = isinstance(value, float) or (isinstance(value, np.ndarray) and value.size == 1)
    return number and not set(tokens(word)) & (_OF_MANY | _NO_LOSS)


def is_of_another(key: Any, names: Container[Any]) -> bool:
    """Return whether `Ct` stands beside `C`: then it is no second name of the same, but tanh(c)."""
    return isinstance(key, str) and key[-1:] == "t" and key[:-1].rstrip("_") in names


def _numbers(value: Any) -> Array | None:
    """Return a copy of a value as an array of numbers, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.ndarray | np.generic):
        return None
    array = np.array(value)
    return array if array.dtype.kind in "fiuc" else None
