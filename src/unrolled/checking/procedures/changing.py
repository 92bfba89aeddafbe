"""Changing what a function of theirs hands back: every array of numbers in it, by its place."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the keys that lead to each of the arrays that `changed` changes, in its order."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for k, inner in items for found in places(inner, (*path, str(k)))]
    is_array = isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim > 0
    return [path] if is_array else []


def changed(value: Any, change: Callable[[Array, int], Array]) -> Any:
    """Return a result of a backward pass with its arrays changed, by the array and its place."""
    count = itertools.count()

    def walk(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {n: walk(v) for n, v in inner.items()}
        if isinstance(inner, list | tuple):
            return type(inner)(walk(v) for v in inner)
        is_array = isinstance(inner, np.ndarray) and inner.dtype.kind == "f" and inner.ndim > 0
        return change(inner, next(count)) if is_array else inner

    return walk(value)
